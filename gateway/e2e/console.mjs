// What the specs of the console need: members who sign in, pages that axe checks, and the keyboard.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { campaignPage, lastMail, pay, raised, raisedBecomes, service, site, visit } from "./visitor.mjs";

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** The members of the program, by role: owner, editor, treasurer, auditor, operator, each with its address. */
const members = JSON.parse(process.env.CAGNOTTE_MEMBERS ?? "{}");

/** The collective that the members belong to, and the address of its pages. */
export const collective = process.env.CAGNOTTE_CAMPAIGN.split("/")[1];
export const home = `${service}/console/c/${collective}`;

/** A day before today, such as 2026-03-14, in the zone of the collective: its days end before those of UTC. */
export const day = (ago) => new Intl.DateTimeFormat("sv-SE", { timeZone: "Europe/Paris" }).format(Date.now() - ago * 86_400_000);

/** The address of a member by role. */
export function emailOf(role) {
  assert.ok(members[role], `the program has no ${role}`);
  return members[role];
}

/**
 * Has something done behind the pages, which services/internal/app/e2e offers: act("payout", { amount: 5000 }). Returns its
 * answer.
 */
export async function act(name, values = {}) {
  const response = await fetch(`${site}/do/${name}?${new URLSearchParams(values)}`, { method: "POST" });
  const answer = await response.text();
  assert.ok(response.ok, `${name}: ${answer}`);
  return JSON.parse(answer);
}

const linkPattern = /https?:\/\/\S+\/console\/sign-in\/link\?token=\S+/;

/** The newest link that was mailed to an address, and not given before. */
export async function mailedLink() {
  const mail = await lastMail(linkPattern);
  return mail.match(linkPattern)[0];
}

/**
 * Signs in as people do: asks for a link, finds it in the mailbox, opens it in the same browser, presses the button. Who is a
 * role, or the address of somebody whom act("join", …) made a member.
 */
export async function signIn(page, who, next = "") {
  await act("forget-attempts"); // all specs come from one network
  await page.goto(`${service}/console/sign-in${next ? `?next=${encodeURIComponent(next)}` : ""}`);
  await page.locator("#email").fill(who.includes("@") ? who : emailOf(who));
  await page.locator("form:has(#email) button").click();
  await page.waitForURL(/\/sign-in\/sent/);
  await page.goto(await mailedLink());
  await page.locator("main form button").click();
  await page.waitForURL((url) => !url.pathname.startsWith("/console/sign-in"));
}

const sessions = new Map();

/**
 * Visits the console as a member. The member signs in once a file; each visit is a fresh browser with the cookie alone, and
 * is checked as every visit is, but for that one cookie. Options are Playwright's, such as { javaScriptEnabled: false },
 * and `expected` of visit().
 */
export async function member(browser, role, options, run) {
  const storageState = sessions.get(role);
  await visit(browser, { viewport: phone, ...options, storageState, cookies: ["__Host-cagnotte", "__Host-cagnotte-link"] }, async (page, context) => {
    if (!storageState) await signIn(page, role);
    // Somebody who proves again to be here has another session, and the old one ends; so does one of a visit that failed.
    sessions.delete(role);
    try {
      await run(page, context);
    } catch (error) {
      const shown = await page.locator("main").innerText({ timeout: 1000 }).catch(() => "");
      throw new Error(`${error.message}\nThe page is ${page.url()}:\n${shown}`, { cause: error });
    }
    sessions.set(role, await context.storageState());
  });
}

/** Forgets a member's session: the next visit signs in again. */
export const forget = (role) => sessions.delete(role);

export const phone = { width: 390, height: 844 };
export const desktop = { width: 1280, height: 900 };

/**
 * Proves again to be here, on the page that asks for it: with the mailed link. Afterwards the page is the one that asked.
 */
export async function prove(page) {
  await page.waitForURL(/\/console\/confirm/);
  await act("forget-attempts");
  await page.locator("form[action='/console/confirm'] button").click();
  await page.waitForURL(/\/sign-in\/sent/);
  await page.goto(await mailedLink());
  await page.locator("main form button").click();
  await page.waitForURL((url) => !url.pathname.startsWith("/console/sign-in"));
}

/** Opens a page that may ask for a proof first. */
export async function gotoProved(page, address) {
  await page.goto(address);
  if (page.url().includes("/console/confirm")) await prove(page);
}

const axeClients = new WeakMap();

/** What axe finds on the page as it is. */
async function violations(page) {
  // The page's policy lets no script in but its own; this one is the test's, in a world of its own on each page.
  let client = axeClients.get(page);
  if (!client) {
    client = await page.context().newCDPSession(page);
    axeClients.set(page, client);
  }
  const { frameTree } = await client.send("Page.getFrameTree");
  const { executionContextId } = await client.send("Page.createIsolatedWorld", { frameId: frameTree.frame.id, worldName: "axe" });
  const evaluate = async (expression) => {
    const { result, exceptionDetails } = await client.send("Runtime.evaluate", { expression, contextId: executionContextId, awaitPromise: true, returnByValue: true });
    assert.equal(exceptionDetails, undefined, exceptionDetails?.exception?.description);
    return result.value;
  };
  if (!(await evaluate("typeof axe === 'object'"))) await evaluate(`${axeSource};0`);
  return evaluate(`axe.run(document, { resultTypes: ["violations"], preload: false, rules: { "target-size": { enabled: true } } }).then((r) => r.violations.map((v) => v.id + ": " + v.nodes.map((n) => n.target.join(" ") + " (" + n.failureSummary + ")").join("; ")))`);
}

/**
 * Looks at the page as it is in several widths: that nothing is wider than the window, and what axe finds in the colour
 * schemes that stand behind the width. Returns what is wrong.
 */
async function look(page, what, views = [[320, "light", "dark"], [1280, "light", "dark"]]) {
  const wrong = [];
  for (const [width, ...schemes] of views) {
    const where = `${what}, ${width} px`;
    if (page.viewportSize().width !== width) await page.setViewportSize({ width, height: 900 });
    if (await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth + 1)) wrong.push(`${where}: something is wider than the window`);
    for (const colorScheme of schemes) {
      await page.emulateMedia({ colorScheme });
      for (const found of await violations(page)) wrong.push(`${where}, ${colorScheme}: ${found}`);
    }
  }
  return wrong;
}

/**
 * Loads a page in both languages and looks at it: by axe in French at 320 px in one colour scheme, and in English on a
 * desktop in the other one. Returns what is wrong.
 */
export async function flaws(page, address, [first, second] = ["light", "dark"]) {
  const wrong = [];
  for (const [lang, ...views] of [["fr", [320, first], [1280]], ["en", [1280, second], [320]]]) {
    const url = new URL(address);
    url.searchParams.set("lang", lang);
    await page.goto(url.href);
    if ((await page.getAttribute("html", "lang")) !== lang) wrong.push(`${url.pathname}: not in ${lang}`);
    wrong.push(...(await look(page, `${url.pathname} (${lang})`, views)));
  }
  return wrong;
}

/**
 * Looks at a form that was refused: it begins in a summary, which leads to what is wrong. Returns what is wrong with that;
 * null when the page shows no refused form.
 */
export async function refusalFlaws(page) {
  const summary = await page.evaluate(() => {
    const errors = document.getElementById("errors");
    return errors && {
      focused: document.activeElement === errors,
      astray: [...errors.querySelectorAll("a[href^='#']")].map((a) => a.hash).filter((hash) => !document.getElementById(decodeURIComponent(hash.slice(1)))),
    };
  });
  if (!summary) return null;
  const where = `${new URL(page.url()).pathname}, refused`;
  const wrong = await look(page, where);
  if (!summary.focused) wrong.push(`${where}: it does not begin in the summary`);
  for (const hash of summary.astray) wrong.push(`${where}: the summary leads to ${hash}, which is not there`);
  return wrong;
}

/**
 * Checks a page in both languages, or without an address the page as it is, light and dark, at 320 px and on a desktop: that
 * axe finds nothing, and that nothing is wider than the window. Pages that need nothing but their address are in
 * console-pages.test.mjs.
 */
export async function accessible(page, address) {
  const before = page.viewportSize();
  const wrong = address ? await flaws(page, address) : await look(page, page.url());
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize(before);
  assert.deepEqual(wrong, []);
}

/**
 * Walks the page with the tab key, from its beginning: every link, button and field that can be seen gets the focus, with a
 * ring around it. Returns the names of what was passed, in order.
 */
export async function keyboardWalk(page) {
  await page.evaluate(() => {
    // The next press of the tab key goes on from where the focus was last, so it goes to the beginning.
    document.body.tabIndex = -1;
    document.body.focus();
    document.body.removeAttribute("tabindex");
    window.scrollTo(0, 0);
  });
  const expected = await page.evaluate(
    () =>
      [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")].filter((e) => {
        if (e.disabled || e.type === "hidden" || e.tabIndex < 0 || !e.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true })) return false;
        // Of the choices of one question the tab key reaches one.
        return e.type !== "radio" || e === (document.querySelector(`input[name='${CSS.escape(e.name)}']:checked`) ?? document.querySelector(`input[name='${CSS.escape(e.name)}']`));
      }).length,
  );
  const passed = [];
  let distinct = 0;
  for (let i = 0; i < expected * 3 + 5; i++) {
    await page.keyboard.press("Tab");
    const now = await page.evaluate(() => {
      const e = document.activeElement;
      if (!e || e === document.body) return null;
      const again = e.dataset.walked === "yes";
      e.dataset.walked = "yes";
      const style = getComputedStyle(e);
      const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
      return { again, ring, name: `${e.tagName.toLowerCase()} ${(e.getAttribute("aria-label") ?? e.textContent ?? "").trim().slice(0, 40) || e.id || e.name}` };
    });
    if (!now) break;
    if (now.again) continue; // a date's day, month and year
    assert.ok(now.ring, `the focus on ${now.name} cannot be seen`);
    passed.push(now.name);
    distinct++;
  }
  assert.ok(distinct >= expected, `the tab key passed ${distinct} of ${expected}: ${passed.join(", ")}`);
  return passed;
}

/** Somebody gives an amount in whole euros by card on the campaign's page, and it is booked. */
export async function donate(browser, amount) {
  await visit(browser, {}, async (page) => {
    const start = await raised();
    await page.goto(campaignPage);
    await page.getByLabel("Autre montant").fill(String(amount));
    await page.getByRole("button", { name: "Continuer vers le paiement" }).click();
    await pay(page);
    await page.getByText("est bien arrivé").waitFor();
    await raisedBecomes(start + amount * 100);
  });
}

/** Downloads by pressing what `press` presses, and returns the file's text and name. */
export async function download(page, press) {
  const [file] = await Promise.all([page.waitForEvent("download"), press()]);
  return { name: file.suggestedFilename(), text: readFileSync(await file.path(), "utf8"), bytes: readFileSync(await file.path()) };
}

export { site };
