// Members of the running demo, for who takes pictures of it: each signs in once, and proves again to be here when a page asks.
export const service = "http://localhost:8080";
export const site = "http://127.0.0.1:8090";
export const stripe = "http://127.0.0.1:12111";
const mailbox = "http://127.0.0.1:8025";

export const collective = "vallon-contre-cameras";
export const home = `/console/c/${collective}`;
export const campaign = `${home}/campaigns/avocate`;

export const desktop = { width: 1100, height: 900 };
export const phone = { width: 390, height: 844 };

const links = /http:\/\/localhost:8080\/console\/sign-in\/(?:link|invitation)\?token=[\w-]+/g;
const mailed = async (kind) => ((await (await fetch(mailbox)).text()).match(links) ?? []).filter((link) => link.includes(`/${kind}?`));

/** Does what has a link mailed, and returns it; kind is "link" or "invitation". */
export async function mailedLink(kind, act) {
  const before = new Set(await mailed(kind));
  await act();
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; await new Promise((resolve) => setTimeout(resolve, 200))) {
    const link = (await mailed(kind)).find((l) => !before.has(l));
    if (link) return link;
  }
  throw new Error(`no mail has a new ${kind}`);
}

/** A browser's profile, which loads addresses below the service. */
export const profile = (browser, options = {}) =>
  browser.newContext({ locale: "fr-FR", viewport: phone, baseURL: service, reducedMotion: "reduce", ...options });

const addresses = { owner: "camille", editor: "nadia", treasurer: "karim", auditor: "louise", operator: "sacha" };
const contexts = new Map();

/** Presses the button that has a link mailed, and follows it. */
async function followMail(tab, button) {
  const link = await mailedLink("link", async () => {
    await tab.locator(button).click();
    await tab.waitForURL(/sign-in\/sent/);
  });
  await tab.goto(link);
  await tab.locator("main form button").click();
  await tab.waitForURL((url) => !url.pathname.startsWith("/console/sign-in"));
}

/** The profile of a member by role: owner, editor, treasurer, auditor or operator. Each signs in once. */
export async function member(browser, role) {
  if (!contexts.has(role)) {
    const context = await profile(browser);
    const tab = await context.newPage();
    await tab.goto("/console/sign-in");
    await tab.locator("#email").fill(`${addresses[role]}@example.org`);
    await followMail(tab, "main form button");
    await tab.close();
    contexts.set(role, context);
  }
  return contexts.get(role);
}

/** Lets somebody else's profile be one of the roles. */
export const remember = (role, context) => contexts.set(role, context);

/** Opens a page, and proves to be here by the mailed link where that is asked first. */
export async function open(tab, path) {
  const answer = await tab.goto(path, { waitUntil: "load" });
  if (!tab.url().includes("/console/confirm?") || path.startsWith("/console/confirm")) return answer;
  await followMail(tab, "form[action='/console/confirm'] button");
  return tab.goto(path, { waitUntil: "load" });
}

/** Sends what the simulated Stripe is to do. */
export async function atStripe(path, body) {
  const answer = await fetch(`${stripe}/_sim/${path}`, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
  if (!answer.ok) throw new Error(`${path}: ${await answer.text()}`);
}

/** A day so many days ago, as YYYY-MM-DD. */
export const day = (ago) => new Date(Date.now() - ago * 86_400_000).toISOString().slice(0, 10);
