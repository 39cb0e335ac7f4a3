// scim.mjs TENANT JUDGE: an independent SCIM 2.0 server (scimmy-routers). Whether a token is valid is asked of JUDGE.
// Prints its port; ends with its standard input.
import express from "express";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";

const [tenant, judge] = process.argv.slice(2);
SCIMMY.Resources.declare(SCIMMY.Resources.User).ingress((r) => r).degress(() => {})
  .egress(() => ["ada", "bob"].map((name, i) => ({ id: String(i), userName: name })));
const app = express();
app.use(`/${tenant}/scim/v2`, new SCIMMYRouters({
  type: "bearer",
  handler: async (request) => {
    const answer = await fetch(judge, { headers: { Authorization: request.header("Authorization") ?? "" } });
    if (answer.status !== 200) throw new Error("not a valid token");
    return "mailhook";
  },
}));
const server = app.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit(0)).resume();
