"""The composition root: one process per user that joins core, IDEs, agents, surfaces and the journal."""
