// Every page of the console, as axe and narrow windows see it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { act, flaws } from "./console.mjs";
import { launch, service, visit } from "./visitor.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

test("each page can be used by everybody, in both languages, light and dark, from 320 px to a desktop", async () => {
  const wrong = [];
  let looked = 0;
  const all = await act("pages");
  for (const session of new Set(all.map((page) => page.session))) {
    const pages = all.filter((page) => page.session === session);
    const cookies = ["__Host-cagnotte", "__Host-cagnotte-link"];
    await visit(browser, { cookies, expected: /status of (404|422)/ }, async (tab, context) => {
      if (session) await context.addCookies([{ name: "__Host-cagnotte", value: session, domain: "localhost", path: "/", secure: true, httpOnly: true, sameSite: "Lax" }]);
      for (const { path } of pages) {
        const answer = await fetch(service + path, { redirect: "manual", headers: session ? { Cookie: `__Host-cagnotte=${session}` } : {} });
        await answer.body?.cancel();
        // Others are files, or lead on to one of these.
        if (!answer.headers.get("content-type")?.startsWith("text/html") || answer.status >= 300 && answer.status < 400) continue;
        looked++;
        wrong.push(...(await flaws(tab, service + path)));
      }
    });
  }
  assert.ok(looked > 100, `${looked} pages`);
  assert.deepEqual(wrong, []);
});
