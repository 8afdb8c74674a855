// A campaign that shows its latest donations: an editor says so, and the page has them, on a phone, in every language.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, act, home, member, phone } from "./console.mjs";
import { campaign, campaignPage, launch, seen, service, visit } from "./visitor.mjs";

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

const batches = async () => (await (await fetch(`${service}/v1/${campaign}/donationBatches`)).json()).donation_batches;
const over = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

test("an editor shows donations in batches, everybody reads them, and a discreet collective shows none", async () => {
  await act("batches");
  assert.deepEqual(await batches(), [], "batches are shown that nobody chose to show");
  const shown = `${home}/campaigns/${campaign.split("/").pop()}/shown`;
  await member(browser, "editor", { viewport: phone }, async (page) => {
    await page.goto(`${shown}?lang=fr`);
    const box = page.getByLabel("Montrer les derniers dons, sans nom");
    assert.ok(!(await box.isChecked()), "it is on");
    await accessible(page);
    await box.check();
    await page.locator("main form button").last().click();
    await page.waitForURL(/\/shown/);
    assert.ok(await page.getByLabel("Montrer les derniers dons, sans nom").isChecked());
  });
  assert.equal((await batches()).length, 2);

  for (const [lang, heading, words] of [["fr", "Les derniers dons", /Du 1er mai 2026 au 3 mai 2026 17 dons jusqu’à 15 € 9 dons/], ["en", "Latest donations", /1 May 2026 to 3 May 2026 17 donations up to €15 9 donations/]]) {
    for (const width of [320, 390, 1280]) {
      await visit(browser, { javaScriptEnabled: width !== 320, viewport: { width, height: 844 } }, async (page) => {
        await page.goto(`${campaignPage}?lang=${lang}`);
        const section = page.getByRole("region", { name: heading });
        assert.match((await seen(section)).replaceAll("\u00a0", " "), words);
        assert.ok((await over(page)) <= 0, `it scrolls sideways by ${await over(page)} at ${width} px`);
        if (width !== 320) await accessible(page);
        if (process.env.CAGNOTTE_LOOK) await section.screenshot({ path: `${process.env.CAGNOTTE_LOOK}/batches-${lang}-${width}.png` });
      });
    }
  }

  await act("discreet");
  assert.deepEqual(await batches(), []);
  await act("not-discreet");
});
