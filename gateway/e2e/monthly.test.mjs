// What the donor of a monthly donation can do alone: find it again, look, change, stop. No way back or forth spends a link or
// asks to send a form again.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible } from "./console.mjs";
import { campaignPage, launch, lastMail, pay, raised, raisedBecomes, seen, visit } from "./visitor.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

const collectivePage = campaignPage.slice(0, campaignPage.lastIndexOf("/"));
const linkIn = (mail) => mail.match(/http\S+\?\S*token=\S+/)[0];

/** Starts a monthly donation of 7 € on the campaign's page, and pays its first month. */
async function start(page, words, query = "") {
  const before = await raised();
  await page.goto(campaignPage + query);
  await page.getByRole("radio", { name: words.monthly }).check();
  await page.getByLabel(words.other).fill("7");
  await page.getByRole("button", { name: words.give }).click();
  await pay(page);
  await page.getByText(words.arrived).waitFor();
  await raisedBecomes(before + 700);
}

const french = { monthly: "Chaque mois", other: "Autre montant", give: "Continuer vers le paiement", arrived: "est bien arrivé" };
const english = { monthly: "Every month", other: "Other amount", give: "Continue to payment", arrived: "has arrived" };

test("a mail at the start says how to manage a monthly donation, and its page mails a link", async () => {
  await visit(browser, { viewport: { width: 390, height: 844 } }, async (page) => {
    await start(page, french);
    const mail = await lastMail(/est en place/);
    const address = mail.match(/http\S+\/monthly\/\S+/)[0];
    assert.ok(!address.includes("token"), "the mail that is kept has a token");
    await page.goto(address);
    await page.getByRole("link", { name: "Vallon" }).first().waitFor();
    await accessible(page);
    await page.getByRole("button", { name: "M’envoyer un lien" }).click();
    await page.getByRole("heading", { name: "Regardez vos e‑mails" }).waitFor();
    await page.reload();
    await page.getByRole("heading", { name: "Regardez vos e‑mails" }).waitFor();
    await page.goto(linkIn(await lastMail(/token=/)));
    await page.getByRole("button", { name: "Ouvrir mon don mensuel" }).click();
    await page.getByText("Vous donnez 7 € par mois.").waitFor();
  });
});

for (const javaScriptEnabled of [true, false]) {
  test(`reload, back, a second tab and a lost answer spend no link, ${javaScriptEnabled ? "with" : "without"} a script`, async () => {
    await visit(browser, { javaScriptEnabled, expected: /status of 400/ }, async (page, context) => {
      await start(page, french);
      await page.getByRole("button", { name: "M’envoyer un lien" }).click();
      const link = linkIn(await lastMail(/token=/));
      await page.goto(link);
      const button = page.getByRole("button", { name: "Ouvrir mon don mensuel" });
      await button.waitFor();
      await page.reload();
      // The browser stops before the answer is there: the link is open, and nothing was seen of it.
      await context.route("**/open*", async (route) => {
        await route.fetch({ maxRedirects: 0 });
        await route.abort("aborted");
      }, { times: 1 });
      await button.click().catch(() => {});
      await page.goto(link);
      await page.getByText("Vous donnez 7 € par mois.").waitFor();
      await page.reload();
      await page.getByText("Vous donnez 7 € par mois.").waitFor();

      const amount = page.getByLabel("Changer le montant");
      await amount.fill("sept");
      await page.getByRole("button", { name: "Changer le montant" }).click();
      assert.match(await seen(page.getByRole("alert")), /Saisissez le montant en chiffres/);
      assert.equal(await amount.inputValue(), "sept");
      await page.reload();
      await page.getByRole("alert").waitFor();
      await amount.fill("9");
      await page.getByRole("button", { name: "Changer le montant" }).click();
      await page.getByRole("heading", { name: "Le montant a été changé" }).waitFor();
      await page.reload();
      await page.getByText("Vous donnez 9 € par mois.").waitFor();
      await page.goBack();
      await page.getByText("Vous donnez 9 € par mois.").waitFor();

      const tab = await context.newPage();
      await tab.goto(link);
      await tab.getByText("Vous donnez 9 € par mois.").waitFor();
      await page.getByRole("link", { name: "Arrêter mon don mensuel" }).click();
      await page.getByRole("heading", { name: "Arrêter votre don mensuel ?" }).waitFor();
      await page.getByRole("link", { name: "Garder mon don mensuel" }).click();
      await page.getByText("Vous donnez 9 € par mois.").waitFor();
      await page.getByRole("link", { name: "Arrêter mon don mensuel" }).click();
      await page.getByRole("button", { name: "Oui, l’arrêter" }).click();
      await page.getByRole("heading", { name: "Votre don mensuel est arrêté" }).waitFor();
      await page.getByText("Merci pour vos dons").waitFor();
      await page.reload();
      await page.getByRole("heading", { name: "Votre don mensuel est arrêté" }).waitFor();
      await page.goBack();
      await page.getByText("Ce don mensuel est arrêté").waitFor();
      // The other tab still shows it, and stopping it twice does no harm.
      await tab.getByRole("link", { name: "Arrêter mon don mensuel" }).click();
      await tab.getByText("Ce don mensuel est arrêté").waitFor();
      await tab.close();
    });
  });
}

test("who lost the mail finds the donation by an address, in English, on a phone and on a desk, in the dark too", async () => {
  for (const [width, colorScheme] of [[390, "light"], [1100, "dark"]]) {
    await visit(browser, { viewport: { width, height: 844 }, colorScheme, locale: "en-GB" }, async (page) => {
      await start(page, english, "?lang=en");
      await page.goto(`${collectivePage}?lang=en`);
      await page.getByRole("link", { name: "Manage my monthly donation" }).click();
      await accessible(page);
      const email = page.getByLabel("Your email address");
      // Capitals do not matter.
      await email.fill(width === 390 ? "Donor@Example.org" : "nobody@example.org");
      await page.getByRole("button", { name: "Send me a link" }).click();
      await page.getByRole("heading", { name: "Check your email" }).waitFor();
      assert.ok(!/example\.org/i.test(page.url() + (await page.content())), "the answer repeats the address");
      await accessible(page);
      await page.goBack();
      await page.goForward();
      await page.getByRole("heading", { name: "Check your email" }).waitFor();
      if (width !== 390) return;
      await page.goto(linkIn(await lastMail(/token=.*lang=en|lang=en.*token=/)));
      await page.getByRole("button", { name: "Open my monthly donation" }).click();
      await page.getByText("You give €7 a month.").waitFor();
      await accessible(page);
      await page.getByRole("link", { name: "Stop my monthly donation" }).click();
      await accessible(page);
      await page.getByRole("button", { name: "Yes, stop it" }).click();
      await page.getByRole("heading", { name: "Your monthly donation has been stopped" }).waitFor();
      await accessible(page);
    });
  }
});

test("a link that is no link says so kindly", async () => {
  await visit(browser, { viewport: { width: 320, height: 700 } }, async (page) => {
    await page.goto(`${campaignPage}/monthly/01890a5d-ac96-774b-bcce-b302099a8057?token=x`);
    await page.getByRole("heading", { name: "Ce lien n’est plus valable" }).waitFor();
    await page.getByRole("button", { name: "M’envoyer un lien" }).waitFor();
    await accessible(page);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(over <= 0, `the page scrolls sideways by ${over}`);
  });
});
