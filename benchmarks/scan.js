// For every line on standard input: list the lock files in a directory, read them, parse them, look for their PIDs.
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const readline = require("node:readline");

const directory = process.argv[2];

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function scan() {
  const locks = fs
    .readdirSync(directory)
    .filter((name) => name.endsWith(".lock"))
    .map((name) => JSON.parse(fs.readFileSync(path.join(directory, name), "utf8")));
  return { files: locks.length, alive: locks.filter((lock) => isAlive(lock.pid)).length };
}

readline.createInterface({ input: process.stdin }).on("line", () => {
  const begun = performance.now();
  const found = scan();
  console.log(JSON.stringify({ ...found, seconds: (performance.now() - begun) / 1000 }));
});
