// Every page of the console, as axe and narrow windows see it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { act, flaws, refusalFlaws } from "./console.mjs";
import { launch, service, visit } from "./visitor.mjs";

let browser;
/** Each with its path, its section and the session of somebody who finds it. */
let pages;
before(async () => {
  browser = await launch();
  pages = await act("pages");
});
after(() => browser?.close());

/** How many pages are looked at at the same time. */
const tabs = 3;

test("each page can be used by everybody, in both languages, light and dark, from 320 px to a desktop", async () => {
  const left = [...pages].reverse();
  const wrong = [];
  let looked = 0;
  await Promise.all(Array.from({ length: tabs }, () => asMembers(async (become) => {
    for (let page = left.pop(); page; page = left.pop()) {
      if (!(await shown(page))) continue;
      // What stands on all pages is seen in both colour schemes at each width.
      const schemes = looked++ % 2 ? ["dark", "light"] : ["light", "dark"];
      wrong.push(...(await flaws(await become(page.session), service + page.path, schemes)));
    }
  })));
  assert.ok(looked > 100, `${looked} pages`);
  assert.deepEqual(wrong, []);
});

test("a form that is refused says why where the page begins, in each section", async () => {
  const wrong = [];
  const refused = new Set();
  await asMembers(async (become) => {
    for (const page of pages) {
      if (refused.has(page.section) || !(await shown(page))) continue;
      const tab = await become(page.session);
      await tab.goto(service + page.path);
      if (!(await tab.evaluate(spoil))) continue;
      await Promise.all([tab.waitForEvent("load"), tab.evaluate(() => document.querySelector("form.spoilt").requestSubmit())]);
      const found = await refusalFlaws(tab);
      if (found) refused.add(page.section);
      wrong.push(...(found ?? []));
    }
  });
  assert.ok(refused.size >= 13, `only in ${[...refused].join(", ")}`);
  assert.deepEqual(wrong, []);
});

/** Whether a page is one to look at. Others are files, or lead on to one of these. */
async function shown({ path, session }) {
  const answer = await fetch(service + path, { redirect: "manual", headers: session ? { Cookie: `__Host-cagnotte=${session}` } : {} });
  await answer.body?.cancel();
  return answer.headers.get("content-type")?.startsWith("text/html") && (answer.status < 300 || answer.status >= 400);
}

/** Opens a browser whose one tab becomes each of the members that is asked for. It is checked as every visit is. */
async function asMembers(run) {
  const cookies = ["__Host-cagnotte", "__Host-cagnotte-link"];
  await visit(browser, { cookies, expected: /status of (404|422)/, reducedMotion: "reduce" }, (tab, context) => {
    let now = "";
    return run(async (session) => {
      if (session !== now) await context.clearCookies();
      if (session && session !== now) await context.addCookies([{ name: "__Host-cagnotte", value: session, domain: "localhost", path: "/", secure: true, httpOnly: true, sameSite: "Lax" }]);
      now = session;
      return tab;
    });
  });
}

/** Fills in a form of the page so that it is refused; false when there is none to which that can happen. Runs in the page. */
function spoil() {
  const rows = [...document.querySelectorAll("main form[method='post'] .row")].filter((row) => !row.querySelector(".optional, [type='checkbox'], [type='radio'], select"));
  const needed = rows.map((row) => row.querySelector("input[id], textarea[id]")).find(Boolean);
  const particular = document.querySelector("main form[method='post'] :is(.figure, [type='email'], [type='url'])");
  const field = needed ?? particular;
  if (!field) return false;
  field.value = needed ? "" : "x";
  field.form.noValidate = true;
  field.form.classList.add("spoilt");
  return true;
}
