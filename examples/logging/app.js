// Logs without a package: one JSON line a request, and the caller's trace handed on (W3C Trace Context, level 1).
const http = require("node:http");
const { randomBytes } = require("node:crypto");

const { DOWNSTREAM, PORT = "8080" } = process.env;
const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?$/;

// The traceparent of a request's own span: in the caller's trace if the header names one, else in a new one.
function continueTrace(header = "") {
  const found = TRACEPARENT.exec(header);
  const sound = found && !(found[1] === "00" && found[4]);
  const trace = sound ? found[2] : randomBytes(16).toString("hex");
  const flags = sound ? parseInt(found[3], 16) & 1 : 1;
  return `00-${trace}-${randomBytes(8).toString("hex")}-0${flags}`;
}

// Whether the next app did its part; true when there is none.
async function callDownstream(traceparent) {
  if (!DOWNSTREAM) return true;
  try {
    const answer = await fetch(DOWNSTREAM, { headers: { traceparent }, signal: AbortSignal.timeout(5000) });
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    return false;
  }
}

// Answers every request, and writes down who did what to what, and how it went.
async function answer(request, response) {
  const traceparent = continueTrace(request.headers.traceparent);
  const done = await callDownstream(traceparent);
  const record = {
    timestamp: new Date().toISOString(),
    user_id: request.headers["x-user"] ?? "anonymous", // whom your app has authenticated
    action: "read",
    resource: request.url.split("?")[0],
    outcome: done ? "success" : "failure",
    traceparent,
  };
  process.stdout.write(JSON.stringify(record) + "\n");
  response.writeHead(done ? 200 : 502).end();
}

http.createServer(answer).listen(Number(PORT));
