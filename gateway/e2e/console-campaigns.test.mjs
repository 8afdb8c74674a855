// An editor's day: a campaign from its first line to its end (tasks 3 to 10 and 12), news (11), sites, snippet, codes and poster
// (13 to 15), and who the collective is (16).
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { deflateSync, crc32 } from "node:zlib";
import { accessible, act, collective, desktop, download, home, keyboardWalk, member, phone } from "./console.mjs";
import { campaign, launch, pay, service, visit } from "./visitor.mjs";

const campaigns = `${home}/campaigns`;
const spread = `${home}/spread/${campaign.split("/").pop()}`;

/** What the browser says of a form that was refused, and of a page that there is not. */
const refused = /status of (404|413|422)/;

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

/** A PNG of one colour. */
function png(width, height, [r, g, b] = [23, 105, 79]) {
  const chunk = (kind, data) => {
    const body = Buffer.concat([Buffer.from(kind), data]);
    const head = Buffer.alloc(4);
    head.writeUInt32BE(data.length);
    const tail = Buffer.alloc(4);
    tail.writeUInt32BE(crc32(body));
    return Buffer.concat([head, body, tail]);
  };
  const size = Buffer.alloc(13);
  size.writeUInt32BE(width);
  size.writeUInt32BE(height, 4);
  size.set([8, 2, 0, 0, 0], 8);
  const row = Buffer.concat([Buffer.from([0]), Buffer.alloc(width * 3, Buffer.from([r, g, b]))]);
  return Buffer.concat([
    Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), chunk("IHDR", size), chunk("IDAT", deflateSync(Buffer.concat(Array(height).fill(row)))), chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** Creates a draft as people do, and stands on its texts. */
async function draft(page, title) {
  await page.goto(campaigns);
  await page.getByRole("link", { name: "Nouvelle collecte" }).click();
  await page.locator("#title").fill(title);
  await page.locator("#goal").fill("1 200");
  await page.getByRole("button", { name: "Créer le brouillon" }).click();
  await page.waitForURL(/\/texts\?done=/);
  return page.url().replace(/\/texts.*$/, "");
}

const save = (page) => page.getByRole("button", { name: "Enregistrer", exact: true }).click();
const saved = (page) => page.getByRole("status").getByText("Enregistré.").waitFor();
/** Presses a button of a confirmation page. */
const confirm = (page, name) => page.locator("main form").getByRole("button", { name, exact: true }).click();

test("what was previewed can still be saved", async () => {
  await member(browser, "editor", {}, async (page, context) => {
    await draft(page, "Un aperçu d’abord");
    await page.locator("#story-fr").fill("Avant **tout**.");
    const [preview] = await Promise.all([context.waitForEvent("page"), page.getByRole("button", { name: "Aperçu (nouvel onglet)" }).click()]);
    await preview.locator(".story strong", { hasText: "tout" }).waitFor();
    await preview.close();
    await save(page);
    await saved(page);
    assert.match(await page.locator("#story-fr").inputValue(), /tout/);
  });
});

test("an editor writes in another language, and its readers see it", async () => {
  await member(browser, "editor", {}, async (page) => {
    const base = await draft(page, "Une école pour toutes les langues");
    const fold = page.locator("details", { has: page.locator("#title-de") });
    assert.equal(await fold.getAttribute("open"), null, "languages without a text clutter the form");
    await page.getByText("Autres langues", { exact: true }).click();
    for (const lang of ["oc", "br", "es", "de"]) assert.ok(await page.locator(`#story-${lang}`).isVisible(), lang);
    await accessible(page);
    await page.locator("#title-de").fill("Eine Schule für alle Sprachen");
    await page.locator("#story-de").fill("Wir brauchen **Ihre Hilfe**.");
    await save(page);
    await saved(page);
    assert.equal(await page.locator("#title-de").inputValue(), "Eine Schule für alle Sprachen");
    assert.ok(await page.locator("#title-de").isVisible(), "a text stands folded away");

    // Stages are named in the languages that the campaign has.
    await page.goto(`${base}/amounts`);
    await page.getByRole("button", { name: "Ajouter une étape" }).click();
    await page.locator("#stage-fr-0").fill("Appel");
    await page.locator("#stage-de-0").fill("Berufung");
    assert.equal(await page.locator("#stage-es-0").count(), 0);
    await page.locator("#stage-amount-0").fill("700");
    await accessible(page);
    await save(page);
    await saved(page);

    await page.goto(`${base}/preview?lang=de`);
    const title = page.getByRole("heading", { level: 1, name: "Eine Schule für alle Sprachen" });
    assert.equal(await title.getAttribute("lang"), "de");
    assert.equal(await page.locator("html").getAttribute("lang"), "de");
    await page.locator(".story strong", { hasText: "Ihre Hilfe" }).waitFor();
    await page.locator(".stages [lang=de]", { hasText: "Berufung" }).waitFor();
    // Who reads Spanish gets the French text, which is marked as French.
    await page.goto(`${base}/preview?lang=es`);
    assert.equal(await page.locator("h1").getAttribute("lang"), "fr");
    assert.equal(await page.locator(".stages [lang=fr]").first().innerText(), "Appel");
  });
});

test("an editor writes a campaign on a phone without JavaScript, looks at it, publishes, pauses and closes it", async () => {
  await member(browser, "editor", { javaScriptEnabled: false, expected: refused }, async (page, context) => {
    const base = await draft(page, "Un avocat pour l’école");
    assert.match(base, /\/un-avocat-pour-l-ecole$/);

    // Both languages, the thanks, and Markdown.
    await page.locator("#story-fr").fill("Contre **les caméras**.\n\n## Pourquoi\n\n- parce que\n\n<script>alert(1)</script>\n\n![La place](https://example.org/place.jpg)");
    await page.locator("#thanks-fr").fill("Merci *infiniment*, à bientôt.");
    await page.locator("#title-en").fill("A lawyer for the school");
    await page.locator("#story-en").fill("Against **the cameras**.");
    // The preview shows what was typed, and stores nothing.
    const [preview] = await Promise.all([context.waitForEvent("page"), page.getByRole("button", { name: "Aperçu (nouvel onglet)" }).click()]);
    await preview.locator(".previewing").getByText("rien n’est encore enregistré").waitFor();
    // A picture in the story is refused, and its editor learns of it.
    await preview.locator(".previewing").getByText("une image, qui n’est pas montrée").waitFor();
    await preview.locator(".story strong", { hasText: "les caméras" }).waitFor();
    assert.equal(await preview.locator("script").count(), 0);
    assert.ok(await preview.getByRole("button", { name: "Continuer vers le paiement" }).isDisabled());
    await preview.close();
    await save(page);
    await saved(page);
    assert.match(await page.locator("#story-fr").inputValue(), /les caméras/);

    // Amounts, a deadline and stages that move.
    await page.goto(`${base}/amounts`);
    await page.getByRole("button", { name: "Ajouter une étape" }).click();
    await page.locator("#stage-fr-0").fill("Appel");
    await page.locator("#stage-amount-0").fill("700");
    await page.getByRole("button", { name: "Ajouter une étape" }).click();
    await page.locator("#stage-fr-1").fill("Mise en demeure");
    await page.locator("#stage-amount-1").fill("300,50");
    await page.locator("#stage-en-1").fill("Formal notice");
    await page.getByRole("button", { name: /Monter/ }).click();
    assert.equal(await page.locator("#stage-fr-0").inputValue(), "Mise en demeure");
    await page.getByRole("button", { name: "Ajouter une étape" }).click();
    await page.getByRole("button", { name: /Retirer/ }).last().click();
    assert.equal(await page.locator("#stage-fr-2").count(), 0);
    await page.locator("#presets").fill("50; 10, 20");
    await page.locator("#deadline").fill("2099-12-31");
    await save(page);
    await saved(page);
    assert.equal(await page.locator("#presets").inputValue(), "10; 20; 50");
    assert.equal(await page.locator("#deadline").inputValue(), "2099-12-31");
    assert.equal(await page.locator("#stage-amount-0").inputValue(), "300,50");
    // More than the goal is refused at its stage, and what was typed stays.
    await page.locator("#stage-amount-1").fill("5000");
    await save(page);
    await page.locator("#errors").waitFor();
    await page.locator("#stage-amount-1-error").waitFor();
    assert.equal(await page.locator("#stage-amount-1").inputValue(), "5000");

    // A picture, with what it shows in both languages.
    await page.goto(`${base}/image`);
    await page.locator("#image").setInputFiles({ name: "photo.jpg", mimeType: "image/jpeg", buffer: Buffer.from("<html>") });
    await page.locator("#alt-fr").fill("Une rue");
    await page.locator("#alt-en").fill("A street");
    await save(page);
    await page.locator("#image-error").getByText("Ce fichier n’est pas une image lisible.").waitFor();
    await page.locator("#image").setInputFiles({ name: "n’importe quoi.txt", mimeType: "text/plain", buffer: png(900, 500) });
    // The browser asks for what it shows; who sends it without keeps the picture and is shown it.
    await page.locator("#alt-en").fill("");
    assert.equal(await page.locator("#alt-en").getAttribute("required"), "");
    await page.locator("#alt-en").fill(" ");
    await save(page);
    await page.locator("#alt-en-error").waitFor();
    await page.getByText("inutile de la choisir de nouveau").waitFor();
    assert.equal((await page.request.get(service + (await page.locator("img.thumbnail").getAttribute("src")))).status(), 200);
    assert.equal(await page.locator("#alt-fr").inputValue(), "Une rue");
    await page.locator("#alt-en").fill("A street");
    await save(page);
    await saved(page);
    const picture = await page.locator("img.thumbnail").getAttribute("src");
    assert.equal((await page.request.get(service + picture)).status(), 200);
    // The public address has nothing until the campaign is published.
    const publicPicture = service + picture.replace(/^.*\/images\//, "/images/");
    assert.equal((await fetch(publicPicture)).status, 404);

    // Members see the draft as donors will; nobody else sees it.
    await page.goto(`${base}/preview`);
    await page.getByRole("img", { name: "Une rue" }).waitFor();
    await page.locator("ol").getByText("Mise en demeure").waitFor();
    const publicPage = `${service}/c/${collective}/${base.split("/").pop()}`;
    assert.equal((await fetch(publicPage)).status, 404);

    await page.goto(base);
    await page.getByRole("link", { name: "Vérifier et publier" }).click();
    await page.getByText("Mentions légales", { exact: true }).waitFor();
    await page.locator("main form").getByRole("button", { name: "Publier" }).click();
    await page.getByRole("status").getByText("La collecte est publiée.").waitFor();
    // Public pages may be a second old.
    for (const deadline = Date.now() + 60_000; (await fetch(publicPage)).status !== 200; ) {
      assert.ok(Date.now() < deadline, "the published campaign has no page");
    }
    const answer = await fetch(publicPicture);
    assert.match(answer.headers.get("cache-control"), /immutable/);
    assert.equal(answer.headers.get("content-type"), "image/png");

    await page.getByRole("link", { name: "Mettre en pause" }).click();
    await page.getByText("Les dons mensuels continuent.").waitFor();
    await confirm(page, "Mettre en pause");
    await page.getByRole("status").getByText("en pause").waitFor();
    await page.getByRole("link", { name: "Reprendre" }).click();
    await confirm(page, "Reprendre");
    await page.getByRole("link", { name: "Terminer" }).click();
    await page.getByText("Les dons mensuels s’arrêtent à la fin du mois payé.").waitFor();
    await page.getByText("0 dons mensuels").or(page.getByText("0 don mensuel")).first().waitFor();
    await confirm(page, "Terminer");
    await page.getByText("terminée", { exact: true }).waitFor();
  });
});

test("who has paid reads the collective's thanks", async () => {
  await member(browser, "owner", {}, async (page) => {
    await page.goto(`${campaigns}/${campaign.split("/").pop()}/texts`);
    await page.locator("#thanks-fr").fill("Merci *infiniment* <b>à vous</b>.");
    await save(page);
    await saved(page);
  });
  await visit(browser, {}, async (page) => {
    await page.goto(`${service}/c/${collective}/${campaign.split("/").pop()}`);
    await page.getByLabel("Autre montant").fill("12");
    await page.getByRole("button", { name: "Continuer vers le paiement" }).click();
    await pay(page);
    await page.getByText("est bien arrivé").waitFor();
    await page.locator(".thanks em", { hasText: "infiniment" }).waitFor();
    assert.equal(await page.locator(".thanks b").count(), 0);
  });
});

test("an editor copies a campaign, changes its address and deletes a draft", async () => {
  await member(browser, "editor", { expected: refused }, async (page) => {
    const base = await draft(page, "À copier");
    await page.goto(base);
    await page.getByRole("link", { name: "Copier" }).click();
    await page.locator("#id").fill("une-copie");
    await confirm(page, "Copier");
    await page.getByRole("status").getByText("Copie créée").waitFor();
    await page.getByRole("link", { name: "Changer l’adresse" }).click();
    await page.locator("#id").fill(base.split("/").pop());
    await confirm(page, "Changer l’adresse");
    await page.locator("#id-error").getByText("Une collecte a déjà cette adresse").waitFor();
    await page.locator("#id").fill("autre-adresse");
    await confirm(page, "Changer l’adresse");
    await page.waitForURL(/\/campaigns\/autre-adresse\?done=/);
    await page.getByRole("link", { name: "Supprimer" }).click();
    await page.getByText("Cela ne peut pas être annulé.").waitFor();
    await confirm(page, "Supprimer");
    await page.getByRole("status").getByText("Brouillon supprimé.").waitFor();
    assert.equal((await page.goto(`${campaigns}/autre-adresse`)).status(), 404);
    // A campaign with a donation keeps its address.
    await page.goto(`${campaigns}/${campaign.split("/").pop()}/rename`);
    await page.locator("#id").fill("jamais");
    await confirm(page, "Changer l’adresse");
    await page.locator("#errors").getByText("son adresse ne change plus").waitFor();
  });
});

test("a change of somebody else is not overwritten in silence", async () => {
  await member(browser, "editor", { expected: refused }, async (page, context) => {
    const base = await draft(page, "À deux");
    const other = await context.newPage();
    await other.goto(`${base}/texts`);
    await page.locator("#story-fr").fill("La première.");
    await save(page);
    await saved(page);
    await other.locator("#story-fr").fill("La seconde.");
    await save(other);
    await other.locator("#errors").getByText("Quelqu’un d’autre a modifié cette collecte").waitFor();
    assert.equal(await other.locator("#story-fr").inputValue(), "La seconde.");
    await other.reload();
    await other.goto(`${base}/texts`);
    assert.equal(await other.locator("#story-fr").inputValue(), "La première.");
    await page.locator("#story-fr").fill("La troisième.");
    await save(page);
    await saved(page);
    await other.locator("#story-fr").fill("La mienne.");
    await save(other);
    await other.getByRole("button", { name: "Enregistrer ma version à la place" }).click();
    await saved(other);
    assert.equal(await other.locator("#story-fr").inputValue(), "La mienne.");
  });
});

test("buttons write Markdown where there is JavaScript", async () => {
  await member(browser, "editor", { viewport: desktop }, async (page) => {
    await draft(page, "Avec des boutons");
    await page.locator("#story-fr").fill("important");
    await page.locator("#story-fr").selectText();
    await page.locator("[data-markdown='story-fr']").getByRole("button", { name: "gras" }).click();
    assert.equal(await page.locator("#story-fr").inputValue(), "**important**");
  });
});

test("an editor publishes and withdraws news on a phone without JavaScript", async () => {
  await member(browser, "editor", { javaScriptEnabled: false, expected: refused }, async (page) => {
    await page.goto(`${home}/news`);
    await page.locator(`a[href$="/news/${campaign.split("/").pop()}"]`).click();
    await page.getByRole("link", { name: "Écrire une actualité" }).click();
    await page.getByRole("button", { name: "Enregistrer le brouillon" }).click();
    await page.locator("#title-fr-error").waitFor();
    await page.locator("#title-fr").fill("Audience le 12");
    await page.locator("#text-fr").fill("Venez **nombreux**. <img src=x onerror=alert(1)>");
    await page.getByRole("button", { name: "Enregistrer le brouillon" }).click();
    await page.locator("strong", { hasText: "nombreux" }).waitFor();
    assert.equal(await page.locator("main img").count(), 0);
    // Everybody sees a change within a second.
    const list = async () => {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      return (await fetch(`${service}/v1/${campaign}/news`).then((r) => r.json())).news_items.length;
    };
    assert.equal(await list(), 0);
    await page.getByRole("button", { name: "Publier" }).click();
    await page.getByRole("status").getByText("L’actualité est publiée.").waitFor();
    assert.equal(await list(), 1);
    await page.getByRole("link", { name: "Retirer" }).click();
    await confirm(page, "Retirer");
    await page.getByRole("status").getByText("L’actualité est retirée.").waitFor();
    assert.equal(await list(), 0);
    await page.getByRole("link", { name: "Supprimer" }).click();
    await confirm(page, "Supprimer");
    await page.getByText("Aucune actualité pour l’instant.").waitFor();
  });
});

test("an editor spreads a campaign: snippet, a site that was refused, codes and a poster", async () => {
  await fetch(`${service}/v1/${campaign}`, { headers: { Origin: "https://mon-site.example" } });
  await fetch(`${service}/v1/${campaign}`, { headers: { Origin: "http://mon-site.example" } });
  await member(browser, "editor", { javaScriptEnabled: false, expected: refused }, async (page) => {
    await page.goto(spread);
    assert.match(await page.locator("#snippet").innerText(), new RegExp(`<cagnotte-widget campaign="${campaign}"`));
    assert.match(await page.locator("#policy").innerText(), new RegExp(`script-src ${service}; connect-src ${service}`));
    assert.match(await page.locator("#snippet").innerText(), /style="display:block;min-height:\d\dem"/);
    assert.match(await page.locator("#styles").innerText(), /min-height: \d\dem/);
    // The version is the script that the stable address serves, with its hash.
    await page.locator("summary", { hasText: "(SRI)" }).click();
    const [, versioned, integrity] = (await page.locator("#version").innerText()).match(/src="([^"]+)" integrity="sha384-([^"]+)" crossorigin="anonymous"/);
    const script = await (await fetch(versioned)).arrayBuffer();
    assert.deepEqual(Buffer.from(script), Buffer.from(await (await fetch(`${service}/widget.js`)).arrayBuffer()));
    assert.equal(Buffer.from(await crypto.subtle.digest("SHA-384", script)).toString("base64"), integrity);
    assert.match(await page.locator("#frame").innerText(), /\/embed\?lang=fr&amp;origin=http/);
    assert.match(await page.locator("#frame-policy").innerText(), new RegExp(`frame-src ${service}`));
    assert.ok((await page.locator("#frame-height").innerText()).includes(`event.origin !== "${service}"`));
    assert.match(await page.locator("#badge").innerText(), /badge\.svg\?lang=fr" width="360" height="88" alt="[^"]+"/);
    assert.equal(await page.locator(".head .badge").innerText().then((text) => text.includes("<")), false);
    const badge = page.locator("img[src*='badge.svg']");
    await badge.waitFor();
    assert.equal(await badge.evaluate((img) => img.decode().then(() => img.naturalWidth)), 360);
    await page.getByText("http://mon-site.example ne peut pas être autorisé").waitFor();
    await page.getByText("Votre site https://mon-site.example n’est pas encore autorisé.").waitFor();
    await page.getByRole("button", { name: "L’autoriser https://mon-site.example" }).click();
    await page.getByRole("status").getByText("Le site est autorisé.").waitFor();
    await page.locator("li.mono", { hasText: "https://mon-site.example" }).waitFor();
    assert.equal(await page.getByRole("button", { name: /L’autoriser/ }).count(), 0);
    // The list of sites takes whole addresses, and refuses what cannot be allowed.
    await page.getByRole("link", { name: "Changer les sites autorisés" }).click();
    const before = await page.locator("#sites").inputValue();
    await page.locator("#sites").fill(`${before}\nhttp://pas-sûr.example`);
    await save(page);
    await page.locator("#sites-error").waitFor();
    await page.locator("#sites").fill(`${before}\nhttps://blog.example/soutenir?x=1`);
    await save(page);
    await saved(page);
    assert.match(await page.locator("#sites").inputValue(), /https:\/\/blog\.example$/);

    const svg = await page.request.get(`${spread}/qr.svg`);
    assert.match(svg.headers()["content-type"], /image\/svg\+xml/);
    const picture = await page.request.get(`${spread}/qr.png?download`);
    assert.equal((await picture.body()).subarray(1, 4).toString(), "PNG");
    assert.match(picture.headers()["content-disposition"], /attachment/);
    const sheet = await page.request.get(`${spread}/poster.pdf?download`);
    assert.equal((await sheet.body()).subarray(0, 5).toString(), "%PDF-");
    assert.match(sheet.headers()["content-disposition"], /attachment; filename=".*\.pdf"/);
    await page.goto(`${spread}/poster`);
    await page.getByRole("img", { name: /Code QR/ }).waitFor();
  });
});

test("an owner says who the collective is", async () => {
  const profile = () => fetch(`${service}/v1/collectives/${collective}/profile`).then((r) => r.json());
  await member(browser, "owner", { javaScriptEnabled: false, expected: refused }, async (page) => {
    await page.goto(`${home}/settings/identity`);
    await page.locator("#website").fill("javascript:alert(1)");
    await page.locator("#about-fr").fill("Nous");
    await save(page);
    await page.locator("#website-error").waitFor();
    assert.equal(await page.locator("#about-fr").inputValue(), "Nous");
    await page.locator("#email").fill("contact@vallon.example");
    await page.locator("#website").fill("https://vallon.example/");
    await page.locator("#legal-fr").fill("**Vallon**, 1 rue du Bourg");
    await page.locator("#about-en").fill("We");
    await page.locator("#image").setInputFiles({ name: "logo.png", mimeType: "image/png", buffer: png(60, 60) });
    await save(page);
    await saved(page);
    const told = await profile();
    assert.equal(told.contact_email, "contact@vallon.example");
    assert.equal(told.texts.fr.legal_notice, "**Vallon**, 1 rue du Bourg");
    assert.match(told.logo, /\/images\/[0-9a-f]{64}$/);
    assert.equal((await fetch(`${service}/images/${collective}/${told.logo.split("/").pop()}/60`)).status, 200);
  });
});

test("what is hostile is shown as text or refused at its field", async () => {
  const hostile = '"><script>alert(1)</script>{{7*7}}=HYPERLINK("x")\u202e\u200b';
  await member(browser, "editor", { expected: refused }, async (page) => {
    const base = await draft(page, hostile);
    await page.goto(base);
    assert.equal(await page.locator("main script").count(), 0);
    assert.ok((await page.locator("h1").innerText()).includes("<script>"));
    await page.goto(campaigns);
    await page.locator(".cards").getByText("<script>", { exact: false }).first().waitFor();
    await page.goto(`${base}/preview`);
    assert.equal(await page.locator("script").count(), 0);
    // The browser bounds what is typed; who sends more is refused at the field, or as a whole.
    const send = async (story) =>
      (await page.request.post(`${base}/texts`, { form: { "title-fr": "Titre", "story-fr": story, etag: "" }, headers: { Origin: service } })).status();
    assert.equal(await send("é".repeat(20_001)), 422);
    assert.equal(await send("x".repeat(1 << 20)), 413);
    assert.equal(await send("a\u0000b"), 422);
    assert.equal((await page.request.post(`${base}/delete`, { form: {}, headers: { Origin: "https://evil.example", "Sec-Fetch-Site": "cross-site" } })).status(), 403);
    await page.goto(`${base}/amounts`);
    for (const [name, value] of [["goal", "=1+1"], ["minimum", "<b>"], ["deadline", ""]]) await page.locator(`#${name}`).fill(value);
    await save(page);
    await page.locator("#goal-error").waitFor();
    await page.locator("#minimum-error").waitFor();
  });
});

test("where no cards are taken, the editor's preview and the donors' page show the other ways", async () => {
  const page = `${service}/c/${collective}/${campaign.split("/").pop()}`;
  await act("bank-account");
  await act("no-cards");
  try {
    await member(browser, "editor", {}, async (tab) => {
      const base = await draft(tab, "Sans carte");
      await tab.goto(`${base}/preview`);
      await tab.getByText("Les dons par carte ne sont pas possibles pour le moment.").waitFor();
      assert.ok(await tab.getByRole("button", { name: /virement/ }).isDisabled());
      assert.equal(await tab.locator("form#give").count(), 0);
      await accessible(tab, `${base}/preview`);
      await tab.goto(`${base}/checklist`);
      await tab.getByText("la page proposera seulement le virement, le chèque ou les espèces").waitFor();
    });
    await visit(browser, { viewport: phone }, async (tab) => {
      // What the public reads may be a second old.
      await until(async () => {
        await tab.goto(page);
        return (await tab.getByText("Les dons par carte ne sont pas possibles pour le moment.").count()) > 0;
      });
      assert.equal(await tab.locator("form#give").count(), 0);
      await tab.getByRole("link", { name: /virement/ }).click();
      await tab.waitForURL(/\/pledge/);
    });
  } finally {
    await act("cards");
  }
  await visit(browser, {}, async (tab) => {
    await until(async () => {
      await tab.goto(page);
      return (await tab.locator("form#give").count()) > 0;
    });
  });
});

/** Waits until something is so, which is asked four times a second. */
async function until(so) {
  for (let i = 0; !(await so()); i++) {
    assert.ok(i < 40, "it does not become so in ten seconds");
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

test("a form whose sending was stopped can be sent again", async () => {
  await member(browser, "editor", { expected: /ERR_FAILED|ERR_ABORTED/ }, async (page) => {
    await draft(page, "Un envoi arrêté");
    await page.locator("#story-fr").fill("Rien ne se perd.");
    let posts = 0;
    await page.route("**/texts*", async (route) => {
      // The first answer never comes: somebody presses Stop.
      if (route.request().method() === "POST" && ++posts === 1) return;
      await route.continue();
    });
    // In one call: Playwright waits for the page that is under way.
    const marked = await page.evaluate(async () => {
      const form = document.querySelector("#story-fr").form;
      const sleep = (time) => new Promise((resolve) => setTimeout(resolve, time));
      form.requestSubmit();
      await sleep(300);
      const marked = Boolean(form.dataset.sent);
      window.stop();
      for (let i = 0; form.dataset.sent && i < 150; i++) await sleep(100);
      return marked && !form.dataset.sent && !form.querySelector("[aria-disabled]");
    });
    assert.ok(marked, "it was not marked as sent, or stays so");
    assert.equal(await page.locator("#story-fr").inputValue(), "Rien ne se perd.");
    await save(page);
    await saved(page);
    assert.equal(posts, 2);
  });
});

test("a treasurer sees campaigns and changes none", async () => {
  await member(browser, "treasurer", { expected: refused }, async (page) => {
    await page.goto(campaigns);
    assert.equal(await page.getByRole("link", { name: "Nouvelle collecte" }).count(), 0);
    const one = `${campaigns}/${campaign.split("/").pop()}`;
    await page.goto(one);
    assert.equal(await page.getByRole("link", { name: "Copier" }).count(), 0);
    for (const path of ["/texts", "/amounts", "/image", "/sites", "/delete", "/close"]) assert.equal((await page.goto(one + path)).status(), 404, path);
    assert.equal((await page.goto(`${spread}`)).status(), 200);
  });
});

test("axe finds nothing on a campaign with stages and a picture, and no news", async () => {
  await member(browser, "editor", { expected: refused }, async (page) => {
    const base = await draft(page, "Pour axe");
    await page.goto(`${base}/amounts`);
    await page.getByRole("button", { name: "Ajouter une étape" }).click();
    await page.locator("#stage-fr-0").fill("Appel");
    await page.locator("#stage-amount-0").fill("700");
    await save(page);
    await saved(page);
    await page.goto(`${base}/image`);
    await page.locator("#image").setInputFiles({ name: "a.png", mimeType: "image/png", buffer: png(500, 300) });
    await page.locator("#alt-fr").fill("Une rue");
    await save(page);
    await saved(page);
    for (const path of ["", "/amounts", "/image", "/preview"]) await accessible(page, base + path);
    await accessible(page, `${home}/news/${base.split("/").pop()}`);
    await page.goto(`${campaigns}/new`);
    await page.getByRole("button", { name: "Créer le brouillon" }).click();
    await page.locator("#errors").waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), "errors");
    await page.setViewportSize(phone);
    await page.goto(`${base}/amounts`);
    await keyboardWalk(page);
  });
});
