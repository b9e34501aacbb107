// For every line on standard input: list the lock files in a directory, read them, parse them, look for their PIDs.
// The line says how: "promises", as a server that must not block does, or "sync", as fast as Node can.
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const readline = require("node:readline");

const directory = process.argv[2];
const isLock = (name) => name.endsWith(".lock");
const whole = (name) => path.join(directory, name);

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const scans = {
  async promises() {
    const names = (await fs.promises.readdir(directory)).filter(isLock);
    return Promise.all(names.map(async (name) => JSON.parse(await fs.promises.readFile(whole(name), "utf8"))));
  },
  sync() {
    return fs.readdirSync(directory).filter(isLock).map((name) => JSON.parse(fs.readFileSync(whole(name), "utf8")));
  },
};

readline.createInterface({ input: process.stdin }).on("line", async (how) => {
  const begun = performance.now();
  const locks = await scans[how]();
  const alive = locks.filter((lock) => isAlive(lock.pid)).length;
  const seconds = (performance.now() - begun) / 1000;
  console.log(JSON.stringify({ files: locks.length, alive, seconds }));
});
