"""Every agent and every IDE.

`fronts` are the agents' ways in, `windows` the IDEs with their humans; `play` plays every story with each pair, and
`rules` say what the agent must hear. ``python -m tests.e2e.matrix`` plays all, prints the table and keeps it in
docs/matrix.md.
"""
