// An operator begins: from an empty database to a published campaign and a first donation.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, act, phone } from "./console.mjs";
import { campaignPage, lastMail, launch, pay, raisedBecomes, service, visit } from "./visitor.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

const cookies = ["__Host-cagnotte", "__Host-cagnotte-link"];
const invitation = /https?:\/\/\S+\/console\/sign-in\/invitation\?token=\S+/;

test("an operator goes from an empty database to a first donation, by phone", async () => {
  await visit(browser, { viewport: phone, cookies }, async (page) => {
    // `cagnotte operator -email alix@example.org` prints the link.
    await page.goto(await act("operator", { email: "alix@example.org" }));
    await page.getByRole("button", { name: "Se connecter" }).click();
    await page.waitForURL(`${service}/console/instance`);
    await page.getByRole("link", { name: "Continuer la mise en route" }).click();
    await accessible(page, page.url());
    const done = (id) => page.locator(`#${id}`).getByText("Fait", { exact: true }).waitFor();
    const open = (id) => page.locator(`#${id}`).getByText("À faire", { exact: true }).waitFor();
    await page.goto(`${service}/console/instance/start`);
    await done("address");
    for (const id of ["mail", "key", "endpoints", "collective", "invitation"]) await open(id);

    await page.getByRole("button", { name: "M’envoyer un e-mail d’essai" }).click();
    await done("mail");
    await lastMail(/Cet e-mail vient de/);
    await page.getByRole("button", { name: "Vérifier maintenant" }).click();
    await done("key");
    // The check tells that the endpoints are missing.
    await page.locator("#endpoints").getByText("à corriger").waitFor();
    await page.getByRole("link", { name: "Créer ou mettre à jour les points de réception" }).click();
    await page.getByRole("button", { name: "Créer ou mettre à jour les points de réception" }).click();
    await done("endpoints");

    await page.getByRole("link", { name: "Créer un collectif" }).click();
    await page.getByLabel("Nom du collectif").fill("Les amis du moulin");
    await page.getByLabel("Adresse courte").fill("moulin");
    await page.getByLabel("À nous, qui tenons ce site").check();
    await page.getByRole("button", { name: "Créer", exact: true }).click();
    await page.getByText("Le collectif est créé.").waitFor();
    await page.goto(`${service}/console/instance/start`);
    await done("collective");
    await page.getByRole("link", { name: "Inviter une personne" }).click();
    await page.getByLabel(/Adresse e-mail de la personne responsable/).fill("dominique@example.org");
    await page.getByRole("button", { name: "Envoyer l’invitation" }).click();
    await page.getByText("L’invitation est partie.").waitFor();
    await page.goto(`${service}/console/instance/start`);
    await page.getByText("6 étapes faites sur 6.").waitFor();
    await accessible(page, page.url());
  });

  const link = (await lastMail(invitation)).match(invitation)[0];
  await visit(browser, { viewport: phone, cookies }, async (page) => {
    await page.goto(link);
    await page.locator("main form").getByLabel(/[Nn]om/).fill("Dominique");
    await page.locator("main form button").click();
    await page.waitForURL(/\/console\/c\/moulin/);
    await page.goto(`${service}/console/c/moulin/campaigns/new`);
    await page.getByLabel("Titre").fill("Un toit pour le moulin");
    await page.getByLabel("Objectif").fill("800");
    await page.getByLabel(/adresse/i).fill("toit");
    await page.getByRole("button", { name: "Créer le brouillon" }).click();
    await page.waitForURL(/\/campaigns\/toit/);
    await page.goto(`${service}/console/c/moulin/campaigns/toit/texts`);
    await page.locator("#story-fr").fill("La toiture laisse passer la pluie.\n\n**Merci.**");
    await page.getByRole("button", { name: "Enregistrer" }).click();
    await page.locator(".flash").waitFor();
    await page.goto(`${service}/console/c/moulin/campaigns/toit/checklist`);
    await page.getByRole("button", { name: "Publier" }).click();
    await page.locator(".flash").waitFor();
  });

  await visit(browser, { viewport: phone }, async (page) => {
    await page.goto(campaignPage);
    await page.getByRole("heading", { name: "Un toit pour le moulin" }).waitFor();
    await page.getByLabel(/montant/i).last().fill("20");
    await page.getByRole("button", { name: "Continuer vers le paiement" }).click();
    await pay(page);
    await page.getByText("est bien arrivé").waitFor();
  });
  // A webhook brings it, signed with the secret that was stored.
  await raisedBecomes(20_00);
  await visit(browser, { viewport: phone, cookies }, async (page) => {
    await page.goto(await act("operator", { email: "alix@example.org" }));
    await page.getByRole("button", { name: "Se connecter" }).click();
    await page.goto(`${service}/console/instance/start`);
    await page.locator("#endpoints").getByText(/Dernier événement reçu/).waitFor();
  });
});
