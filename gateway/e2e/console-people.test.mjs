// People: invitations, roles, leaving; a member's account, passkeys and devices; API keys.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, act, desktop, emailOf, forget, gotoProved, home, member, phone, prove, signIn } from "./console.mjs";
import { lastMail, launch, service, site, visit } from "./visitor.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

const cookies = ["__Host-cagnotte", "__Host-cagnotte-link"];
const people = `${home}/settings/people`;
const keys = `${home}/settings/keys`;
const account = `${service}/console/me`;

const invitationLink = /https?:\/\/\S+\/console\/sign-in\/invitation\?token=\S+/;

/** Invites an address as the owner whose page it is, and returns the link that was mailed. */
async function invite(page, email, role) {
  await gotoProved(page, `${people}/invite`);
  await page.getByLabel("Adresse e-mail").fill(email);
  await page.getByRole("radio", { name: new RegExp(`^${role}`) }).check();
  await page.getByRole("button", { name: "Envoyer l’invitation" }).click();
  await page.getByText("L’invitation est partie.").waitFor();
  return (await lastMail(invitationLink)).match(invitationLink)[0];
}

/** Accepts an invitation in a browser of its own, and goes on there. */
async function join(link, name, run) {
  await visit(browser, { viewport: phone, cookies, expected: /status of 4(04|22)/ }, async (page, context) => {
    await act("forget-attempts");
    await page.goto(link);
    await page.getByLabel("Votre nom").fill(name);
    await page.getByRole("button", { name: "Accepter l’invitation" }).click();
    await page.getByText("Votre invitation est acceptée.").waitFor();
    await run(page, context);
  });
}

test("an owner invites, gives another role and removes; who was removed is out at once", async () => {
  await member(browser, "owner", { javaScriptEnabled: false }, async (page) => {
    const link = await invite(page, "lucie@example.org", "Rédaction");
    await page.getByRole("row").filter({ hasText: "lucie@example.org" }).waitFor();
    await join(link, "Lucie", async (guest) => {
      await page.goto(people);
      await page.getByRole("row").filter({ hasText: "Lucie" }).getByRole("link", { name: "Changer le rôle" }).click();
      if (page.url().includes("/confirm")) await gotoProved(page, page.url());
      await page.getByRole("radio", { name: /^Lecture/ }).check();
      await page.getByRole("button", { name: "Changer le rôle" }).click();
      await page.getByText("Le rôle est changé.").waitFor();
      assert.match(await page.getByRole("row").filter({ hasText: "Lucie" }).innerText(), /Lecture/);
      // A member sees who is here, without their addresses, and manages nobody.
      await guest.goto(people);
      assert.equal(await guest.getByRole("row").filter({ hasText: "treasurer@" }).locator(".small").count(), 0);
      assert.equal((await guest.goto(`${people}/invite`)).status(), 404);

      await page.getByRole("row").filter({ hasText: "Lucie" }).getByRole("link", { name: "Retirer l’accès" }).click();
      await page.getByText("Lucie n’aura plus accès à ces pages.").waitFor();
      await page.getByRole("button", { name: "Retirer l’accès" }).click();
      await page.getByText("L’accès est retiré.").waitFor();
      assert.equal(await page.getByText("Lucie").count(), 0);
      await guest.goto(home);
      assert.equal(new URL(guest.url()).pathname, "/console/sign-in");
    });
    // The link was used: whoever finds it in the mailbox gets nothing.
    await visit(browser, { viewport: phone, cookies }, async (thief) => {
      await act("forget-attempts");
      await thief.goto(link);
      await thief.getByText("Demandez à la personne").waitFor();
    });
  });
});

test("an invitation that was withdrawn opens nothing", async () => {
  await member(browser, "owner", { javaScriptEnabled: false }, async (page) => {
    const link = await invite(page, "trop-tard@example.org", "Lecture");
    await page.getByRole("row").filter({ hasText: "trop-tard@example.org" }).getByRole("link", { name: "Annuler l’invitation" }).click();
    await page.getByRole("button", { name: "Annuler l’invitation" }).click();
    await page.getByText("L’invitation est annulée.").waitFor();
    await visit(browser, { viewport: phone, cookies }, async (guest) => {
      await act("forget-attempts");
      await guest.goto(link);
      await guest.getByText("Demandez à la personne").waitFor();
    });
  });
});

test("the last owner cannot leave, and is told why", async () => {
  await member(browser, "owner", { expected: /status of 422/ }, async (page) => {
    await page.goto(people);
    await page.getByRole("link", { name: "Quitter" }).click();
    if (page.url().includes("/confirm")) await gotoProved(page, page.url());
    await page.getByRole("button", { name: "Quitter" }).click();
    await page.getByRole("alert").getByText("Il faut au moins une personne responsable.").waitFor();
  });
});

test("a treasurer makes a key, which works until it is revoked", async () => {
  await member(browser, "treasurer", { javaScriptEnabled: false, expected: /status of 422/ }, async (page) => {
    await gotoProved(page, `${keys}/new`);
    // A role above one's own is not offered.
    assert.equal(await page.getByRole("radio", { name: /^Responsable/ }).count(), 0);
    await page.getByLabel("Nom de la clé").fill("Export mensuel");
    await page.getByRole("radio", { name: /^Lecture/ }).check();
    await page.getByRole("button", { name: "Créer la clé" }).click();
    const secret = (await page.locator("#secret").innerText()).trim();
    const list = () => fetch(`${service}/v1/${home.replace(`${service}/console/c/`, "collectives/")}/ledger/accounts`, { headers: { Authorization: `Bearer ${secret}` } });
    assert.equal((await list()).status, 200);
    await page.getByRole("link", { name: "J’ai copié la clé" }).click();
    const row = page.getByRole("row").filter({ hasText: "Export mensuel" });
    assert.match(await row.innerText(), /active/i);
    assert.ok(!(await page.content()).includes(secret.slice(-20)), "the list shows the secret");
    await row.getByRole("link", { name: "Révoquer" }).click();
    await page.getByRole("button", { name: "Révoquer" }).click();
    await page.getByText("La clé est révoquée.").waitFor();
    assert.equal((await list()).status, 401);
  });
});

test("a passkey is added, signs in without a mail, proves again, and is deleted", async () => {
  await visit(browser, { viewport: phone, cookies, expected: /status of 422/ }, async (page, context) => {
    const client = await context.newCDPSession(page);
    await client.send("WebAuthn.enable");
    const { authenticatorId } = await client.send("WebAuthn.addVirtualAuthenticator", {
      options: { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true },
    });
    await signIn(page, "editor");
    forget("editor");
    await page.goto(account);
    await page.getByRole("link", { name: "Ajouter une clé d’identification" }).click();
    await page.getByLabel("Nom de la clé").fill("Mon téléphone");
    await page.getByRole("button", { name: "Ajouter une clé d’identification" }).click();
    await page.getByText("La clé d’identification est ajoutée.").waitFor();
    await page.getByText("Mon téléphone", { exact: true }).first().waitFor();

    await page.locator("details.account summary").click();
    await page.getByRole("button", { name: "Se déconnecter" }).click();
    await page.getByText("Vous êtes déconnecté.").waitFor();
    await page.goto(account);
    await page.getByRole("button", { name: "Utiliser une clé d’identification" }).click();
    await page.waitForURL(account);

    // Twenty minutes later what hurts asks again.
    await act("advance", { minutes: 20 });
    const { credentials } = await client.send("WebAuthn.getCredentials", { authenticatorId });
    assert.equal(credentials.length, 1);
    await page.getByRole("listitem").filter({ hasText: "Mon téléphone" }).getByRole("link", { name: "Supprimer" }).click();
    await page.waitForURL(/\/console\/confirm\?/);
    await page.getByRole("button", { name: "Utiliser une clé d’identification" }).click();
    await page.waitForURL(/\/me\/passkeys\/[^?]+\/delete$/);
    await page.getByRole("button", { name: "Supprimer" }).click();
    await page.getByText("La clé d’identification est supprimée.").waitFor();

    // Deleted here, it opens nothing, though the device still has it.
    await page.locator("details.account summary").click();
    await page.getByRole("button", { name: "Se déconnecter" }).click();
    await page.goto(`${service}/console/sign-in`);
    await page.getByRole("button", { name: "Utiliser une clé d’identification" }).click();
    await page.locator(".passkey .error").waitFor();
  });
});

test("a member changes the name and the language, and ends a device", async () => {
  await member(browser, "auditor", { javaScriptEnabled: false }, async (page) => {
    await visit(browser, { viewport: phone, cookies }, async (other) => {
      await signIn(other, "auditor");
      await page.goto(account);
      await page.getByRole("button", { name: "Déconnecter" }).first().click();
      await page.getByText("L’appareil est déconnecté.").waitFor();
      await other.goto(home);
      assert.equal(new URL(other.url()).pathname, "/console/sign-in");
    });
    await page.getByLabel("Votre nom").fill("Ariane <script>");
    await page.getByRole("radio", { name: "English" }).check();
    await page.getByRole("button", { name: "Enregistrer" }).click();
    await page.getByText("Saved.").waitFor();
    await page.goto(people);
    await page.getByRole("row").filter({ hasText: "Ariane <script>" }).waitFor();
    await page.goto(account);
    await page.getByRole("radio", { name: "Français" }).check();
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("C’est enregistré.").waitFor();
  });
});

test("the operator's people and keys are pages of their own", async () => {
  await member(browser, "operator", { viewport: desktop, expected: /status of 404/ }, async (page) => {
    await page.goto(`${service}/console/instance/people`);
    await page.getByRole("row").filter({ hasText: emailOf("operator") }).waitFor();
    await page.goto(`${service}/console/instance/keys`);
    await page.getByRole("heading", { name: "Clés d’accès" }).waitFor();
  });
  await member(browser, "owner", { expected: /status of 404/ }, async (page) => {
    assert.equal((await page.goto(`${service}/console/instance/people`)).status(), 404);
  });
});

/** Waits for a mail that came after the first `before`, and returns its text. */
async function mailAfter(before, pattern) {
  for (const deadline = Date.now() + 20_000; ; await new Promise((resolve) => setTimeout(resolve, 100))) {
    const mails = (await allMails()).slice(before);
    const found = mails.find((text) => pattern.test(text));
    if (found) return found;
    assert.ok(Date.now() < deadline, `no mail like ${pattern}: ${mails}`);
  }
}

const allMails = () => fetch(`${site}/mails`).then((response) => response.json());

test("a member changes their address, by phone and without JavaScript; the other devices are signed out, and the old address is told", async () => {
  const email = "camille@example.org";
  await act("join", { email, role: "ROLE_EDITOR" });
  const options = { viewport: phone, javaScriptEnabled: false, cookies, expected: /status of 422/ };
  await visit(browser, options, async (other) => {
    await signIn(other, email);
    await visit(browser, options, async (page) => {
      await signIn(page, email);
      await act("advance", { minutes: 11 }); // the proof of the sign-in is old by now
      await page.goto(account);
      await page.getByRole("link", { name: "changer d’adresse" }).click();
      assert.match(page.url(), /\/console\/confirm/);
      await prove(page);
      assert.equal(new URL(page.url()).pathname, "/console/me/email");

      await page.getByLabel("Nouvelle adresse e-mail").fill(email); // which is the address already
      await page.getByRole("button", { name: "M’envoyer le lien" }).click();
      await page.getByRole("alert").first().waitFor();

      // An address that somebody has: the page says the same, and its owner alone is told.
      let before = (await allMails()).length;
      await page.getByLabel("Nouvelle adresse e-mail").fill(emailOf("auditor"));
      await page.getByRole("button", { name: "M’envoyer le lien" }).click();
      await page.getByRole("heading", { name: "Regardez dans la nouvelle boîte" }).waitFor();
      const said = (await page.locator("main").innerText()).replace(/\s+/g, " ");
      const taken = await mailAfter(before, /Elle en a déjà un, le vôtre|It already has one, yours/);
      assert.ok(!taken.includes("token=") && !taken.includes("camille"), taken);

      await act("forget-attempts");
      before = (await allMails()).length;
      await page.goto(`${account}/email`);
      await page.getByLabel("Nouvelle adresse e-mail").fill("camille.nouvelle@example.org");
      await page.getByRole("button", { name: "M’envoyer le lien" }).click();
      await page.getByRole("heading", { name: "Regardez dans la nouvelle boîte" }).waitFor();
      assert.equal((await page.locator("main").innerText()).replace(/\s+/g, " "), said, "the page tells a taken address from a free one");
      const pattern = /https?:\/\/\S+\/console\/me\/email\/confirm\?token=\S+/;
      const link = (await mailAfter(before, pattern)).match(pattern)[0];
      await mailAfter(before, /une nouvelle adresse vient d’être demandée|a new address/i);

      // The other device opens nothing with it.
      await other.goto(link);
      await other.getByRole("button", { name: "Utiliser cette adresse" }).click();
      await other.getByRole("alert").waitFor();

      await page.goto(link);
      await page.getByRole("button", { name: "Utiliser cette adresse" }).click();
      await page.getByText("Votre adresse e-mail a changé.").waitFor();
      await page.locator("main").getByText("camille.nouvelle@example.org").waitFor();
      await mailAfter(before, /arrivent désormais à une autre adresse|now go to another address/);
      await other.goto(account);
      assert.equal(new URL(other.url()).pathname, "/console/sign-in");
      await page.goto(link);
      await page.getByRole("button", { name: "Utiliser cette adresse" }).click();
      await page.getByRole("alert").waitFor();
    });
  });
  await visit(browser, { viewport: phone, cookies }, async (page) => {
    await signIn(page, "camille.nouvelle@example.org");
    for (const path of ["/email", "/email/sent", "/email/confirm?token=x"]) {
      await accessible(page, account + path);
      if (!process.env.CAGNOTTE_PICTURES) continue;
      for (const [name, size] of Object.entries({ phone, desktop })) {
        for (const colorScheme of ["light", "dark"]) {
          await page.setViewportSize(size);
          await page.emulateMedia({ colorScheme });
          await page.goto(`${account}${path}`);
          await page.screenshot({ path: `${process.env.CAGNOTTE_PICTURES}/me${path.replace(/\W+/g, "-")}-${name}-${colorScheme}.png`, fullPage: true });
        }
      }
    }
  });
});
