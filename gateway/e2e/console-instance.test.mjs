// The operator at work: the guided start, Stripe, events, verifications, collectives, applications; and a collective's settings.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, act, collective, desktop, donate, download, gotoProved, home, member, phone, prove } from "./console.mjs";
import { campaignPage, lastMail, launch, service, visit } from "./visitor.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

const instance = `${service}/console/instance`;

/** Writes a picture where somebody asked for pictures. */
async function look(page, name) {
  if (!process.env.CAGNOTTE_LOOK) return;
  for (const [size, viewport] of Object.entries({ phone, desktop })) {
    await page.setViewportSize(viewport);
    await page.screenshot({ path: `${process.env.CAGNOTTE_LOOK}/${name}-${size}.png`, fullPage: true });
  }
  await page.setViewportSize(phone);
}

test("the guided start verifies each step, by phone and without JavaScript", async () => {
  await member(browser, "operator", { javaScriptEnabled: false }, async (page) => {
    await page.goto(`${instance}/start`);
    await look(page, "start-before");
    const step = (id) => page.locator(`#${id}`);
    await step("address").getByText("Fait", { exact: true }).waitFor();
    await page.getByRole("button", { name: /M’envoyer un e-mail d’essai|Envoyer un autre essai/ }).click();
    await page.getByText("L’e-mail d’essai est parti.").waitFor();
    await lastMail(/Cet e-mail vient de/);
    await page.getByRole("button", { name: /Vérifier maintenant|Vérifier de nouveau/ }).click();
    await page.waitForURL(/start/);
    await step("key").getByText("Fait", { exact: true }).waitFor();
    await page.getByRole("link", { name: /points de réception/ }).click();
    await look(page, "endpoints");
    await page.getByRole("button", { name: "Créer ou mettre à jour les points de réception" }).click();
    await page.getByText("Les points de réception sont en ordre.").waitFor();
    await step("endpoints").getByText("Fait", { exact: true }).waitFor();
    await step("collective").getByText("Fait", { exact: true }).waitFor();
    await step("invitation").getByText("Fait", { exact: true }).waitFor();
    await look(page, "start");
    await page.goto(instance);
    await look(page, "home");
  });
});

test("Stripe is checked, and each account's health is shown", async () => {
  await member(browser, "operator", {}, async (page) => {
    await page.goto(`${instance}/stripe`);
    await page.getByRole("button", { name: /Vérifier maintenant/ }).click();
    await page.getByText("Stripe vient d’être vérifié.").waitFor();
    await page.getByText("L’horloge est à l’heure.").waitFor();
    await look(page, "stripe");
    await page.getByRole("link", { name: "Compte de la plateforme" }).click();
    await page.getByRole("heading", { name: /Santé/ }).waitFor();
    await look(page, "account");
  });
});

test("an event is found, and failed ones are processed again", async () => {
  await donate(browser, 20);
  await member(browser, "operator", {}, async (page) => {
    await page.goto(`${instance}/events`);
    await look(page, "events");
    await act("fail-event");
    await page.goto(`${instance}/events?state=failed`);
    await page.getByText("abandonné").first().waitFor();
    await look(page, "events-failed");
    await page.getByRole("link", { name: /\w+\.\w+/ }).first().click();
    await look(page, "event");
    await page.getByRole("button", { name: "Traiter de nouveau" }).click();
    await page.getByText("Les événements sont traités de nouveau").waitFor();
    await act("fail-event");
    await page.goto(`${instance}/events?state=failed`);
    await page.getByRole("link", { name: "Tout traiter de nouveau" }).click();
    await page.getByRole("button", { name: "Tout traiter de nouveau" }).click();
    await page.getByText("Les événements sont traités de nouveau").waitFor();
  });
});

test("parked money says what to do, and is tried again", async () => {
  await member(browser, "operator", {}, async (page) => {
    await act("park");
    await page.goto(`${instance}/parked`);
    await page.getByText("txn_parked").waitFor();
    await look(page, "parked");
    await page.getByRole("button", { name: "Tout réessayer maintenant" }).click();
    await page.getByText("Les mouvements sont essayés de nouveau").waitFor();
    // The attempt that the button asked for may park it once more.
    const empty = page.getByText("Tout ce que Stripe a bougé est dans les comptes.");
    for (const deadline = Date.now() + 60_000; ; await page.waitForTimeout(500)) {
      await act("unpark");
      await page.goto(`${instance}/parked`);
      await page.locator("h1").waitFor();
      if (await empty.count()) break;
      assert.ok(Date.now() < deadline, "the money stays parked");
    }
  });
});

test("the books are verified", async () => {
  await member(browser, "operator", {}, async (page) => {
    await page.goto(`${instance}/verification`);
    await page.getByRole("button", { name: "Vérifier tous les livres" }).click();
    await page.waitForURL(/verification\/[0-9a-f-]{36}/);
    for (const deadline = Date.now() + 60_000; !(await page.getByText("tout est juste").count()); await page.reload()) {
      assert.ok(Date.now() < deadline, "the verification does not end");
    }
    await look(page, "verification");
    await page.goto(`${instance}/verification`);
    await look(page, "verifications");
  });
});

test("the operator reads which version runs, and when the books were last verified", async () => {
  await member(browser, "operator", { javaScriptEnabled: false }, async (page) => {
    await page.goto(instance);
    const fact = (label) => page.locator(`dt:text-is("${label}") + dd`);
    assert.match(await fact("Version").innerText(), /\S/);
    // After an upgrade the database has as many migrations as the program needs.
    const [, applied, needed] = (await fact("Base de données").innerText()).match(/^(\d+) migrations sur (\d+)$/);
    assert.ok(Number(applied) > 0 && applied === needed, `${applied} of ${needed}`);
    assert.match(await fact("Dernière vérification des comptes").innerText(), /\d/);
  });
});

test("a collective is suspended, which its pages say, and resumed", async () => {
  await member(browser, "operator", { javaScriptEnabled: false }, async (page) => {
    await page.goto(`${instance}/collectives`);
    await look(page, "collectives");
    await page.goto(`${instance}/collectives/${collective}`);
    await look(page, "collective");
    await page.getByRole("link", { name: "Suspendre" }).click();
    await look(page, "suspend");
    await page.getByLabel("Raison").fill("Le compte bancaire est celui d’une autre association.");
    await page.getByRole("button", { name: "Suspendre" }).click();
    await page.getByText("Le collectif est suspendu.").waitFor();
    await look(page, "suspended");
    await visit(browser, {}, async (donor) => {
      await donor.goto(campaignPage);
      await donor.getByText("Les dons à ce collectif sont suspendus pour le moment.").waitFor();
      await look(donor, "suspended-campaign");
    });
    await member(browser, "owner", {}, async (owner) => {
      await owner.goto(`${home}/settings`);
      await owner.getByText("Le compte bancaire est celui d’une autre association.").waitFor();
    });
    await page.goto(`${instance}/collectives/${collective}`);
    await page.getByRole("link", { name: "Lever la suspension" }).click();
    await page.getByRole("button", { name: "Lever la suspension" }).click();
    await page.getByText("La suspension est levée.").waitFor();
  });
});

test("somebody asks for a collective, and the operator approves and rejects", async () => {
  await visit(browser, { expected: /status of 404/ }, async (page) => {
    assert.equal((await page.goto(`${service}/console/apply`)).status(), 404);
  });
  await member(browser, "operator", { expected: /status of 422/ }, async (page) => {
    await page.goto(`${instance}/applications`);
    await page.getByLabel("Tout le monde peut demander, vous décidez").check();
    await page.getByRole("button", { name: "Enregistrer" }).click();
    await page.getByText("C’est enregistré.").waitFor();
    await visit(browser, { viewport: phone, javaScriptEnabled: false, expected: /status of 422/ }, async (asker) => {
      for (const [id, name] of [["salle-du-causse", "Salle du Causse"], ["fanfare", "Fanfare"]]) {
        await asker.goto(`${service}/console/apply`);
        await asker.getByLabel("Nom du collectif").fill(name);
        await asker.getByLabel("Adresse courte souhaitée").fill("A");
        await asker.getByLabel("Le collectif et ce qu’il fait").fill("Nous réparons la salle des fêtes.\n<b>Merci</b>");
        await asker.getByLabel("Votre nom").fill("Marie");
        await asker.getByLabel("Adresse e-mail").fill(`${id}@example.org`);
        await asker.getByRole("button", { name: "Envoyer la demande" }).click();
        await asker.getByRole("alert").waitFor();
        await look(asker, "apply-refused");
        assert.equal(await asker.getByLabel("Nom du collectif").inputValue(), name);
        await asker.getByLabel("Adresse courte souhaitée").fill(id);
        await asker.getByRole("button", { name: "Envoyer la demande" }).click();
        await asker.getByRole("heading", { name: "Merci, c’est envoyé" }).waitFor();
      }
    });
    await page.goto(`${instance}/applications?state=waiting`);
    await look(page, "applications");
    await page.getByRole("link", { name: "Salle du Causse" }).click();
    await page.getByText("<b>Merci</b>").waitFor();
    await look(page, "application");
    await page.getByLabel("Adresse courte").fill(collective);
    await page.getByRole("button", { name: "Accepter et inviter" }).click();
    await page.getByRole("alert").waitFor();
    await page.getByLabel("Adresse courte").fill("salle-du-causse");
    await page.getByRole("button", { name: "Accepter et inviter" }).click();
    await page.getByText("La demande est acceptée").waitFor();
    await lastMail(/\/console\/sign-in\/invitation\?token=/);
    await page.goto(`${instance}/applications?state=waiting`);
    await page.getByRole("link", { name: "Fanfare" }).click();
    await page.getByRole("link", { name: "Refuser" }).click();
    await page.getByLabel("Raison du refus").fill("Nous ne connaissons pas cette fanfare.");
    await page.getByRole("button", { name: "Refuser" }).click();
    await page.getByText("La demande est refusée").waitFor();
    await lastMail(/Nous ne connaissons pas cette fanfare\./);
    await page.goto(`${instance}/applications`);
    await page.getByLabel("Seulement l’administration du site").check();
    await page.getByRole("button", { name: "Enregistrer" }).click();
    await page.getByText("C’est enregistré.").waitFor();
  });
});

test("the operator creates a collective, and invites its first owner", async () => {
  await member(browser, "operator", { expected: /status of 422/ }, async (page) => {
    await gotoProved(page, `${instance}/collectives/new`);
    await look(page, "new-collective");
    await page.getByLabel("Nom du collectif").fill("Les amis du moulin");
    await page.getByLabel("Adresse courte").fill("moulin");
    await page.getByLabel("Inviter une personne responsable").fill("moulin@example.org");
    await page.getByRole("button", { name: "Créer", exact: true }).click();
    await page.getByText("Le collectif est créé.").waitFor();
    await page.getByText("moulin@example.org").waitFor();
    await page.getByText("Pas encore de compte Stripe").waitFor();
    await lastMail(/\/console\/sign-in\/invitation\?token=/);
    await look(page, "collective-new");
  });
});

/** Saves a form of the settings, with a fresh proof where it is asked for: what was typed stays. */
async function save(page, context) {
  await page.getByRole("button", { name: "Enregistrer" }).click();
  const prompt = page.getByRole("link", { name: "Confirmer dans un nouvel onglet" });
  await page.locator(".summary, .flash").first().waitFor();
  if (await prompt.count()) {
    const [tab] = await Promise.all([context.waitForEvent("page"), prompt.click()]);
    await prove(tab);
    await tab.close();
    await page.getByRole("button", { name: "Enregistrer" }).click();
  }
  await page.locator(".flash").waitFor();
}

test("an owner says where transfers and cheques go, who is told, and which refunds wait", async () => {
  await member(browser, "owner", { expected: /status of 422/ }, async (page, context) => {
    await page.goto(`${home}/settings`);
    await look(page, "settings");
    await page.getByRole("link", { name: "Banque et chèques" }).click();
    await page.getByLabel("Titulaire du compte").fill("Vallon contre caméras");
    await page.getByLabel("IBAN").fill("FR76 3000 6000 0112 3456 7890 188");
    await page.getByLabel("Ordre des chèques").fill("Maître Roche");
    await page.getByLabel("Adresse postale").fill("Vallon contre caméras\n1 place de la Mairie\n12330 Salles-la-Source");
    await page.getByRole("button", { name: "Enregistrer" }).click();
    await page.getByRole("alert").waitFor();
    await look(page, "settings-bank-refused");
    await page.getByLabel("IBAN").fill("FR76 3000 6000 0112 3456 7890 189");
    await save(page, context);
    await page.goto(`${home}/settings/bank`);
    await look(page, "settings-bank");
    await page.goto(`${home}/settings/alerts`);
    await page.getByLabel("Adresses e-mail").fill("alertes@example.org\ntresor@example.org");
    await save(page, context);
    await page.goto(`${home}/settings/refunds`);
    await look(page, "settings-refunds");
    await page.getByLabel("Ceux au-dessus d’un montant").check();
    await page.locator("#amount").fill("50");
    await save(page, context);
    await page.goto(`${home}/settings/general`);
    await look(page, "settings-general");
    await page.getByLabel("Nom du collectif").fill("Vallon contre caméras");
    await page.getByLabel("Rester discret").check();
    await save(page, context);
    await page.goto(`${home}/settings/general`);
    assert.ok(await page.getByLabel("Rester discret").isChecked());
    await page.getByLabel("Rester discret").uncheck();
    await save(page, context);
    await page.goto(`${home}/settings/stripe`);
    await page.getByText("Compte de la plateforme").waitFor();
    await look(page, "settings-stripe");
  });
});

test("who only reads cannot change a setting", async () => {
  await member(browser, "treasurer", { expected: /status of 404/ }, async (page) => {
    await page.goto(`${home}/settings/bank`);
    await page.getByText("Seules les personnes responsables peuvent modifier ces réglages.").waitFor();
    assert.equal(await page.getByRole("button", { name: "Enregistrer" }).count(), 0);
    assert.equal((await page.goto(`${home}/settings/alerts`)).status(), 404);
    assert.equal((await page.goto(instance)).status(), 404);
  });
});

test("a collective's account at Stripe is opened, and its state is said in words", async () => {
  await member(browser, "operator", {}, async (page) => {
    const settings = `${service}/console/c/moulin/settings/stripe`;
    await gotoProved(page, `${service}/console/confirm?next=${encodeURIComponent("/console/c/moulin/settings/stripe")}`);
    await page.goto(settings);
    await page.getByText("Pas encore de compte Stripe").waitFor();
    await page.getByRole("button", { name: "Ouvrir le compte Stripe" }).click();
    if (page.url().includes("/console/confirm")) {
      await prove(page);
      await page.getByRole("button", { name: "Ouvrir le compte Stripe" }).click();
    }
    await page.getByRole("heading", { name: "Vous continuez chez Stripe" }).waitFor();
    await look(page, "onboard");
    assert.match(await page.getByRole("link", { name: "Continuer chez Stripe" }).getAttribute("href"), /^http/);
    await page.goto(settings);
    await page.getByText("Ce que Stripe demande encore").waitFor();
    await look(page, "settings-stripe-begun");
  });
});

test("the operator reads their own notices, and puts one away", async () => {
  await member(browser, "operator", { javaScriptEnabled: false }, async (page) => {
    await page.goto(instance);
    await page.locator(".menu summary").click();
    const entry = page.locator(".menu").getByRole("link", { name: /^Avis/ });
    assert.match(await entry.innerText(), /\d+/, "the navigation has no number of notices");
    await entry.click();
    await page.waitForURL(/instance\/notices$/);
    await look(page, "site-notices");
    const before = await page.locator("main .rows li").count();
    // Whoever changed something leaves the notice of it to another member. This one is of nobody's change.
    await page.getByRole("link", { name: /demande à ouvrir/ }).first().click();
    await look(page, "site-notice");
    await page.getByRole("button", { name: "Marquer comme lu" }).click();
    await page.getByText("L’avis est marqué comme lu.").waitFor();
    assert.equal(await page.locator("main .rows li").count(), before - 1);
    await page.getByRole("link", { name: "Tous", exact: true }).click();
    assert.ok((await page.locator("main .rows li").count()) >= before, "a notice that was put away is gone");
    await page.locator(".filters summary").click();
    await page.getByLabel("Où").selectOption({ label: "Site et tous les collectifs" });
    await page.getByRole("button", { name: "Rechercher" }).click();
    await page.getByText(collective).first().waitFor();
    await look(page, "site-notices-all");
    await page.locator(".rows li", { hasText: collective }).first().getByRole("link").click();
    await page.waitForURL(new RegExp(`/c/${collective}/notices/`));
  });
  await member(browser, "owner", { expected: /status of 404/ }, async (page) => {
    for (const path of ["/notices", "/audit", "/audit/export?format=CSV"]) assert.equal((await page.goto(instance + path)).status(), 404);
  });
});

test("a list of several pages leads on and back, without JavaScript", async () => {
  await act("notices");
  await member(browser, "operator", { javaScriptEnabled: false }, async (page) => {
    await page.goto(`${instance}/notices?all=yes`);
    const shown = () => page.locator("main .rows a").evaluateAll((links) => links.map((a) => a.pathname));
    const pages = [await shown()];
    for (let i = 0; i < 2; i++) {
      await page.getByRole("link", { name: "Page suivante" }).click();
      pages.push(await shown());
    }
    assert.equal(new Set(pages.flat()).size, pages.flat().length, "two pages show the same notice");
    await look(page, "pages");
    await page.getByRole("link", { name: "Page précédente" }).click();
    assert.deepEqual(await shown(), pages[1]);
    const linked = page.url();
    await page.getByRole("link", { name: "Page précédente" }).click();
    assert.deepEqual(await shown(), pages[0]);
    assert.equal(await page.getByRole("link", { name: "Page précédente" }).count(), 0);
    await page.goto(linked);
    assert.deepEqual(await shown(), pages[1], "the address of a page leads elsewhere");
    await page.getByRole("link", { name: "Page suivante" }).click();
    await page.getByRole("link", { name: "Première page" }).click();
    assert.deepEqual(await shown(), pages[0]);
    assert.match(page.url(), /all=yes/);
    await page.locator(".menu summary").click();
    assert.match(await page.locator(".menu").getByRole("link", { name: /^Avis/ }).innerText(), /99\+/);
  });
});

test("the operator finds in the log who changed what in any collective, and takes it along", async () => {
  await member(browser, "operator", {}, async (page) => {
    await page.goto(`${instance}/audit`);
    await page.getByText(collective).first().waitFor();
    await look(page, "site-audit");
    const rows = page.locator("main .entry");
    const filter = async (label, choose) => {
      await page.goto(`${instance}/audit`);
      await page.locator(".filters summary").click();
      await choose(page.getByLabel(label));
      await page.getByRole("button", { name: "Rechercher" }).click();
    };
    await filter("Où", (f) => f.selectOption(collective));
    assert.ok(await rows.count(), "the collective has no entry");
    assert.equal(await rows.filter({ hasText: collective }).count(), await rows.count(), "another collective's entry is listed");
    // Its members can be chosen now.
    await page.getByLabel("Qui").selectOption({ label: "Camille (treasurer@example.org)" });
    await page.getByRole("button", { name: "Rechercher" }).click();
    assert.equal(await rows.filter({ hasText: "treasurer@example.org" }).count(), await rows.count());
    await filter("Quoi", (f) => f.selectOption({ label: "Collectifs suspendus" }));
    await page.getByText("a suspendu le collectif").first().waitFor();
    assert.equal(await rows.filter({ hasText: "a suspendu le collectif" }).count(), await rows.count());
    await look(page, "site-audit-filtered");
    const file = await download(page, () => page.getByRole("link", { name: /CSV/ }).click());
    const lines = file.text.trim().split(/\r?\n/);
    assert.match(lines[0], /method/);
    assert.ok(lines.length > 1 && lines.slice(1).every((l) => l.includes("SuspendCollective")), file.text);
    await rows.first().getByRole("link", { name: "voir tout ce que cette personne a fait" }).click();
    await page.waitForURL(/actor=members/);
    assert.ok(await rows.count());
    await filter("Du", (f) => f.fill("2999-01-01"));
    await page.getByText("Aucun changement ne correspond.").waitFor();
    await filter("Au", (f) => f.fill("2000-01-01"));
    await page.getByText("Aucun changement ne correspond.").waitFor();
  });
});

test("a collective without an account at Stripe, and a long list of notices, can be used by everybody", async () => {
  await member(browser, "operator", {}, async (page) => {
    for (const address of [`${service}/console/c/moulin/settings/stripe`, `${instance}/notices?all=yes`]) await accessible(page, address);
  });
});
