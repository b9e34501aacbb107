// The least that a Node program must do to say what `bridge status` says: find the daemon, ask, print.
"use strict";
const fs = require("node:fs");
const net = require("node:net");

const line = (id, method, params) => JSON.stringify({ jsonrpc: "2.0", id, method, params }) + "\n";

const connection = net.connect(JSON.parse(fs.readFileSync(process.argv[2], "utf8")).socket);
connection.setEncoding("utf8");
connection.write(
  line(0, "hello", { cwd: process.cwd(), environ: {} }) + line(1, "status", { render: true, columns: 10000 }),
);
let said = "";
connection.on("data", (chunk) => {
  said += chunk;
  const [, answer, rest] = said.split("\n");
  if (rest === undefined) return;
  process.stdout.write(JSON.parse(answer).result.text);
  connection.destroy();
});
