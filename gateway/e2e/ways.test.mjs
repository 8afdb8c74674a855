// The other ways to give: every month, with the fee, by debit, by transfer. And what donors see of them afterwards.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { campaignPage, hosting, hostPage, launch, lastMail, pay, raised, raisedBecomes, seen, service, site, stripe, visit } from "./visitor.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

test("somebody gives every month in the widget, changes the amount by a mailed link, and stops", async () => {
  await visit(browser, { expected: /status of 4(00|09)/ }, async (page) => {
    const start = await raised();
    await page.goto(hostPage);
    const widget = page.locator("cagnotte-widget");
    await widget.getByRole("radio", { name: "Chaque mois" }).check();
    await widget.getByRole("radio", { name: "5 €", exact: true }).check();
    await widget.getByText("Vous pouvez l’arrêter ou le modifier à tout moment").waitFor();
    await widget.getByRole("button", { name: "Donner 5 € par mois" }).click();
    await pay(page);
    await page.getByText("est bien arrivé").waitFor();
    await raisedBecomes(start + 500);

    await page.getByRole("button", { name: "M’envoyer un lien" }).click();
    await page.getByRole("heading", { name: "Regardez vos e‑mails" }).waitFor();
    const link = (await lastMail(/token=/)).match(/http\S+\?\S*token=\S+/)[0];
    const seenByServer = [];
    page.on("request", (request) => seenByServer.push(`${request.url()} ${request.headers().referer ?? ""}`));
    await page.goto(link);
    await page.getByRole("button", { name: "Ouvrir mon don mensuel" }).click();
    await page.getByText("Vous donnez 5 € par mois.").waitFor();
    await page.getByText("Prochain don").waitFor();

    await page.getByLabel("Changer le montant").fill("0,10");
    await page.getByRole("button", { name: "Changer le montant" }).click();
    assert.match(await seen(page.getByRole("alert")), /Le don minimum/);
    await page.getByLabel("Changer le montant").fill("12");
    await page.getByRole("button", { name: "Changer le montant" }).click();
    await page.getByText("Vous donnez 12 € par mois.").waitFor();
    await page.getByRole("link", { name: "Arrêter mon don mensuel" }).click();
    await page.getByRole("button", { name: "Oui, l’arrêter" }).click();
    await page.getByRole("heading", { name: "Votre don mensuel est arrêté" }).waitFor();

    const token = new URL(link).searchParams.get("token");
    const leaks = seenByServer.filter((line) => line.includes(token) && !line.startsWith(link));
    assert.deepEqual(leaks, [], "the token went into another address, or a Referer");
  });
});

test("somebody changes the card of a monthly donation at Stripe, without JavaScript", async () => {
  await visit(browser, { javaScriptEnabled: false }, async (page) => {
    const start = await raised();
    await page.goto(campaignPage);
    await page.getByRole("radio", { name: "Chaque mois" }).check();
    await page.getByLabel("Autre montant").fill("8");
    await page.getByRole("button", { name: "Continuer vers le paiement" }).click();
    await pay(page);
    await page.getByText("est bien arrivé").waitFor();
    await raisedBecomes(start + 800);
    await page.getByRole("button", { name: "M’envoyer un lien" }).click();
    await page.goto((await lastMail(/token=/)).match(/http\S+\?\S*token=\S+/)[0]);
    await page.getByRole("button", { name: "Ouvrir mon don mensuel" }).click();
    await page.getByText("Vous donnez 8 € par mois.").waitFor();
    await page.getByRole("button", { name: "Continuer sur Stripe" }).click();
    await page.waitForURL((url) => url.origin === stripe);
  });
});

test("somebody covers the fee and is told the whole before the click", async () => {
  await visit(browser, {}, async (page) => {
    const start = await raised();
    await page.goto(hostPage);
    const widget = page.locator("cagnotte-widget");
    await widget.getByLabel("Autre montant").fill("10");
    await widget.getByLabel("J’ajoute les frais").check();
    assert.equal(await seen(widget.locator(".whole")), "10,41 € au total.");
    assert.equal(await seen(widget.getByRole("button")), "Donner 10,41 €");
    await widget.getByRole("button").click();
    await page.waitForURL((url) => url.origin === stripe);
    assert.match(await seen(page.locator("main")), /10,41 €/);
    await pay(page);
    await page.getByText("Votre don de 10,41 € est bien arrivé.").waitFor();
    await page.getByText("Dont 0,41 € que vous avez ajoutés").waitFor();
    await raisedBecomes(start + 1041);
  });
});

test("somebody gives by debit and reads that the bank takes some days", async () => {
  await visit(browser, {}, async (page) => {
    const start = await raised();
    await page.goto(campaignPage);
    await page.getByRole("radio", { name: "20 €" }).check();
    await page.getByRole("button", { name: "Continuer vers le paiement" }).click();
    await page.waitForURL((url) => url.origin === stripe);
    await page.getByLabel("Titulaire du compte").fill("Ana Vidal");
    await page.getByRole("button", { name: "Autoriser le prélèvement" }).click();
    await page.getByText("en cours de confirmation par votre banque").waitFor();
    await page.getByText("5 jours ouvrés environ").waitFor();
    assert.equal(await raised(), start, "a debit under way counts already");
    await page.getByRole("link", { name: "Retourner à la collecte" }).click();
    assert.match(await seen(page.locator(".bar + .small")), /20 € en cours de confirmation/);
  });
});

test("somebody prepares a transfer without JavaScript and prints its slip", async () => {
  await visit(browser, { javaScriptEnabled: false, expected: /status of 400/ }, async (page) => {
    await page.goto(campaignPage);
    await page.getByRole("link", { name: "virement, chèque ou espèces" }).click();
    await page.getByRole("radio", { name: "Par virement" }).check();
    await page.getByRole("button", { name: "Préparer mon don" }).click();
    assert.match(await seen(page.getByRole("alert")), /Choisissez un montant/);
    await page.getByLabel("Autre montant").fill("35");
    await page.getByRole("button", { name: "Préparer mon don" }).click();
    await page.waitForURL(/\/pledges\//);
    const slip = await seen(page.locator(".paper"));
    for (const want of ["35 €", "Vallon contre caméras", "FR76 3000 6000 0112 3456 7890 189"]) assert.ok(slip.includes(want), slip);
    const code = await page.request.get(await page.getByRole("img").getAttribute("src").then((path) => service + path));
    assert.match(code.headers()["content-type"], /image\/svg\+xml/);
    assert.ok((await page.getByRole("img").boundingBox()).width > 150);
    await page.emulateMedia({ media: "print" });
    assert.ok(await page.getByRole("img").isVisible());
    assert.equal(await page.getByRole("link", { name: "Retourner à la collecte" }).isVisible(), false);
  });
});

test("every page of these fits a phone and a desk, in both languages", async () => {
  for (const width of [320, 390, 1280]) {
    for (const lang of ["fr", "en"]) {
      await visit(browser, { viewport: { width, height: 800 }, expected: /status of/ }, async (page) => {
        for (const path of ["", "/pledge", "/monthly/01890a5d-ac96-774b-bcce-b302099a8057", "/monthly/01890a5d-ac96-774b-bcce-b302099a8057?token=x"]) {
          await page.goto(`${campaignPage}${path}${path.includes("?") ? "&" : "?"}lang=${lang}`);
          const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
          assert.ok(over <= 0, `${path} scrolls sideways by ${over} at ${width} px in ${lang}`);
        }
      });
    }
  }
});

test("somebody gives in a frame, on a site that takes no script", async () => {
  await visit(browser, { javaScriptEnabled: false }, async (page) => {
    const start = await raised();
    await page.goto(new URL("/cadre", hostPage).href);
    const frame = page.frameLocator("iframe");
    await frame.getByText("recueillis sur").waitFor();
    await frame.getByRole("radio", { name: "5 €", exact: true }).check();
    await frame.getByRole("button", { name: "Continuer vers le paiement" }).click();
    await pay(page);
    await page.getByText("est bien arrivé").waitFor();
    await raisedBecomes(start + 500);
  });
});

test("a frame is as high as what it shows, tells that to its own site alone, and is shown by no other", async () => {
  const listener = `<script>window.heard = []; addEventListener("message", (event) => {
    const height = Number(event.data?.cagnotteHeight);
    heard.push([event.origin, height]);
    if (event.origin !== "${service}" || !(height > 0)) return;
    for (const frame of document.querySelectorAll("iframe")) if (frame.contentWindow === event.source) frame.height = height;
  });</script>`;
  const frame = (origin) => `<iframe src="${campaignPage}/embed?lang=fr&amp;origin=${encodeURIComponent(origin)}" title="Une avocate" width="100%" height="880" frameborder="0"></iframe>`;
  for (const width of [390, 900]) {
    await visit(browser, { viewport: { width, height: 844 } }, async (page) => {
      // The site sends no Referer, and lets frames of the service in alone.
      await page.goto(await hosting(page, frame(site), { head: listener, headers: { "Referrer-Policy": "no-referrer", "Content-Security-Policy": `default-src 'none'; script-src 'unsafe-inline'; frame-src ${service}` } }));
      const inside = page.frameLocator("iframe");
      await inside.getByText("recueillis sur").waitFor();
      await page.waitForFunction(() => document.querySelector("iframe").height !== "880");
      const fits = async () => {
        const high = await inside.locator("html").evaluate((e) => [e.getBoundingClientRect().height, e.scrollHeight - e.clientHeight]);
        return Math.abs(Number(await page.locator("iframe").getAttribute("height")) - high[0]) <= 1 && high[1] <= 0;
      };
      assert.ok(await fits());
      assert.ok((await page.evaluate(() => window.heard)).every(([origin]) => origin === service));
      // It follows.
      const before = await page.locator("iframe").getAttribute("height");
      await inside.locator("h1").evaluate((e) => (e.style.fontSize = "60px"));
      await page.waitForFunction((old) => document.querySelector("iframe").height !== old, before);
      assert.ok(await fits());
    });
  }
  // Another site may name the one that is allowed, and its own: neither is shown, and it hears nothing.
  const elsewhere = site.replace("127.0.0.1", "localhost");
  for (const named of [site, elsewhere]) {
    await visit(browser, { origins: [elsewhere], expected: /frame-ancestors|Failed to load|Framing/ }, async (page) => {
      const refused = page.waitForEvent("console", (message) => /frame-ancestors/.test(message.text()));
      await page.goto(await hosting(page, frame(named), { head: listener, origin: elsewhere }));
      await refused;
      assert.deepEqual(await page.evaluate(() => window.heard), []);
    });
  }
});

test("a badge shows the progress on any page, and leads to the campaign", async () => {
  await visit(browser, {}, async (page) => {
    const address = await hosting(page, `<a href="${campaignPage}"><img src="${campaignPage}/badge.svg?lang=fr" width="360" height="88" alt="Une avocate : où en est la collecte"></a>`, {
      head: "", headers: { "Content-Security-Policy": `default-src 'none'; img-src ${service}`, "Cross-Origin-Embedder-Policy": "require-corp" },
    });
    await page.goto(address);
    const badge = page.getByRole("img");
    await badge.waitFor();
    await page.waitForFunction(() => document.images[0].complete);
    assert.equal(await badge.evaluate((img) => img.naturalWidth), 360);
    await badge.click();
    await page.waitForURL(campaignPage);
  });
});
