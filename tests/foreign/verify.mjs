// verify.mjs: one JSON object on standard input: {"webhook": {secret, headers, body}} by standardwebhooks, or
// {"assertion": {jwt, certificate, audience, subject}} by jose. Prints what was verified; exit 1 with words where it is refused.
import { readFileSync } from "node:fs";
import { webcrypto } from "node:crypto";

globalThis.crypto ??= webcrypto; // Node 18
const asked = JSON.parse(readFileSync(0, "utf8"));
try {
  if (asked.webhook) {
    const { Webhook } = await import("standardwebhooks");
    const { secret, headers, body } = asked.webhook;
    console.log(JSON.stringify(new Webhook(secret).verify(body, headers)));
  } else {
    const { importX509, jwtVerify } = await import("jose");
    const { jwt, certificate, audience, subject } = asked.assertion;
    const key = await importX509(certificate, "PS256");
    const { payload } = await jwtVerify(jwt, key, { audience, subject, issuer: subject, algorithms: ["PS256"] });
    console.log(JSON.stringify(payload));
  }
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
