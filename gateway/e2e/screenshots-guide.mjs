// The pictures of the guide: parts of real screens, by phone, in each language. gateway/guide/pages has a line for each of them.
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { campaign, home, member, open, phone, profile } from "./demo.mjs";
import { fill } from "./screenshots-states.mjs";

const instance = "/console/instance";

/** Follows the first or last link that leads to such an address. */
const follow = (href, which = "first") => async (tab) => {
  await tab.goto(await tab.locator(`main a[href*="${href}"]`)[which]().getAttribute("href"));
};

/**
 * Each picture: its name, who sees it, where, what is done there, and which parts are shown, from the first to the last.
 * `high` is how much of them, in pixels.
 */
const pictures = [
  { name: "start-sign-in", path: "/console/sign-in", parts: ["main h1", "main form.card"] },
  { name: "start-roles", role: "owner", path: home, act: (tab) => tab.locator(".places summary").click(), parts: [".top", ".places .panel", "main .figures-row"] },
  { name: "campaign-texts", role: "owner", path: `${campaign}/texts`, parts: [".columns fieldset"], high: 620 },
  { name: "campaign-stages", role: "owner", path: `${campaign}/amounts`, parts: ["main form h2", "main form fieldset"], high: 620 },
  { name: "campaign-checklist", role: "editor", path: `${home}/campaigns`, act: async (tab) => {
    await follow("/campaigns/relire")(tab);
    await tab.goto(`${new URL(tab.url()).pathname}/checklist`);
  }, parts: ["main ul.rows"] },
  { name: "spread-code", role: "editor", path: `${home}/spread/avocate`, parts: ["main .card >> nth=1"] },
  { name: "spread-news", role: "editor", path: `${home}/news/avocate`, parts: ["main > :is(.eyebrow, h1)", "main .rows"] },
  { name: "team-people", role: "owner", path: `${home}/settings/people`, parts: ["main > :is(.eyebrow, .head)", "main tbody tr >> nth=1"] },
  { name: "team-invite", role: "owner", path: `${home}/settings/people/invite`, parts: ["main > :is(.eyebrow, h1)", "main form.card"], high: 640 },
  { name: "team-change", role: "treasurer", path: `${home}/settings/approvals`, act: follow("/settings/approvals/0"), parts: ["main > :is(.eyebrow, h1)", "main .card"] },
  { name: "treasury-cheque", role: "treasurer", path: `${home}/donations/new?method=cheque`, parts: ["main > :is(.eyebrow, h1)", "main form.card"] },
  { name: "treasury-import", role: "treasurer", path: `${home}/bank`, parts: ["main .head", "main tbody tr >> nth=2"] },
  { name: "treasury-match", role: "treasurer", path: `${home}/bank`, act: async (tab) => {
    await tab.locator("tbody tr").filter({ hasText: "120" }).getByRole("link").first().click();
    await tab.waitForLoadState();
  }, parts: ["main > :is(.eyebrow, h1)", "main .cards .card"] },
  { name: "treasury-export", role: "treasurer", path: `${home}/books/exports`, parts: ["main > :is(.eyebrow, h1)", "main form.card"], high: 640 },
  { name: "refunds-ask", role: "treasurer", path: `${home}/donations?method=CONTRIBUTION_METHOD_CARD&min=10&max=40&state=CONTRIBUTION_STATE_RECEIVED`, act: async (tab) => {
    await follow("/donations/0", "last")(tab);
    await follow("/refunds/new")(tab);
    await fill(tab, { amount: "5" });
  }, parts: ["main > :is(.eyebrow, h1)", "main form.card"] },
  { name: "refunds-dispute", role: "treasurer", path: `${home}/disputes`, act: follow("/disputes/d"), parts: ["main > :is(.eyebrow, h1)", "main .card"], high: 700 },
  { name: "discretion-donation", role: "treasurer", path: `${home}/donations?method=CONTRIBUTION_METHOD_CARD&state=CONTRIBUTION_STATE_RECEIVED`, act: follow("/donations/0"), parts: ["main > :is(.eyebrow, h1)", "main .card"] },
  { name: "operator-home", role: "operator", path: instance, parts: ["main > :is(.eyebrow, h1)", "main .card >> nth=0"], high: 640 },
  { name: "operator-start", role: "operator", path: `${instance}/start`, parts: ["main > :is(.eyebrow, h1)", "main .card >> nth=1"], high: 640 },
];

/** Takes them into a folder for each language. Returns which could not be taken. */
export async function guide(browser, folder) {
  await rm(folder, { recursive: true, force: true });
  const failures = [];
  const sessions = new Map();
  for (const lang of ["fr", "en"]) {
    await mkdir(join(folder, lang), { recursive: true });
    for (const p of pictures) {
      // The member's language decides; ?lang= would be lost on the way.
      const options = { locale: lang === "fr" ? "fr-FR" : "en-GB", viewport: { ...phone, height: 1200 } };
      if (p.role) options.storageState = sessions.get(p.role) ?? (await (await member(browser, p.role)).storageState());
      const context = await profile(browser, options);
      await context.route("**/console/**", (route) => {
        const url = new URL(route.request().url());
        if (route.request().resourceType() === "document" && !url.searchParams.has("lang")) url.searchParams.set("lang", lang);
        return route.continue({ url: url.href });
      });
      const tab = await context.newPage();
      tab.setDefaultTimeout(10_000);
      try {
        await open(tab, p.path);
        if (p.act) await p.act(tab);
        await tab.evaluate(() => {
          document.activeElement?.blur();
          window.scrollTo(0, 0);
          // As browsers show days to people here, whatever language this one has.
          for (const field of document.querySelectorAll("input[type=date]")) {
            const shown = field.value.split("-").reverse().join("/");
            field.type = "text";
            field.value = shown;
          }
        });
        await writeFile(join(folder, lang, `${p.name}.webp`), await part(tab, p));
      } catch (error) {
        failures.push(`${p.name} (${lang}): ${error.message.split("\n")[0]}`);
      }
      // Who proves to be here has another session from then on.
      if (p.role) sessions.set(p.role, await context.storageState());
      await context.close();
    }
  }
  for (const [role, { cookies }] of sessions) await (await member(browser, role)).addCookies(cookies);
  return failures;
}

/** A picture of what lies between parts of the page, over its whole width. */
async function part(tab, { parts, high = 900 }) {
  const boxes = [];
  for (const selector of parts) {
    const box = await tab.locator(selector).first().evaluate((e) => {
      const { top, bottom } = e.getBoundingClientRect();
      return { top: top + window.scrollY, bottom: bottom + window.scrollY };
    });
    boxes.push(box);
  }
  const top = Math.max(0, Math.floor(Math.min(...boxes.map((b) => b.top)) - 12));
  const bottom = Math.ceil(Math.max(...boxes.map((b) => b.bottom)) + 12);
  // A picture that is lower than its parts ends between two lines of text, not in one.
  const end = bottom - top <= high ? bottom : await tab.evaluate((limit) => {
    const lines = [...document.querySelectorAll("main :is(p, li, label, legend, dt, dd, h2, h3, input, button, .button)")]
      .map((e) => e.getBoundingClientRect()).map((b) => ({ top: b.top + window.scrollY, bottom: b.bottom + window.scrollY }))
      .filter((b) => b.bottom - b.top < 120);
    const free = (y) => lines.every((b) => y <= b.top || y >= b.bottom);
    for (let y = limit; y > limit - 200; y--) if (free(y) && free(y + 6)) return y;
    return limit;
  }, top + high);
  const client = await tab.context().newCDPSession(tab);
  const { data } = await client.send("Page.captureScreenshot", {
    format: "webp", quality: 72, captureBeyondViewport: true,
    clip: { x: 0, y: top, width: phone.width, height: end - top, scale: 1.5 },
  });
  return Buffer.from(data, "base64");
}
