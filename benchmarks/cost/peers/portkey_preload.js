// Loaded before Portkey's own code, which as it is listens on every address and answers 500 to each stream, since it
// edits headers of a fetched response that cannot be edited. So: loopback only, and responses whose headers are copies.
const net = require("net");

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (...given) {
  if (typeof given[0] === "number" || typeof given[0] === "string") {
    const listening = given.find((each) => typeof each === "function");
    return listen.call(this, { port: Number(given[0]), host: "127.0.0.1", backlog: 4096 }, listening);
  }
  if (given[0] && typeof given[0] === "object" && "port" in given[0]) given[0] = { ...given[0], host: "127.0.0.1" };
  return listen.apply(this, given);
};

const fetched = globalThis.fetch;
globalThis.fetch = async (...given) => {
  const reply = await fetched(...given);
  return new Response(reply.body, { status: reply.status, statusText: reply.statusText, headers: reply.headers });
};
