// The widget by itself: what it says when something goes wrong, what it sends again, how it fits into pages of all kinds.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { readFileSync } from "node:fs";
import { accessible } from "./console.mjs";
import { campaign, campaignPage, donationsURL, hosting, hostPage, launch, pretend, seen, service, site, snippet, stripe, visit } from "./visitor.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

const failedLoads = /Failed to load resource/;

/** Answers donations with this instead of the service, and returns the bodies that were sent. */
async function answerDonations(page, answer) {
  const bodies = [];
  await page.route(donationsURL, async (route) => {
    if (route.request().method() === "POST") bodies.push(route.request().postDataJSON());
    await answer(route, bodies.length);
  });
  return bodies;
}

const refuse = (status, reason, ...details) => (route) =>
  route.fulfill({
    status,
    headers: { "Access-Control-Allow-Origin": "*", "Content-Type": "application/json" },
    body: JSON.stringify({ code: 9, message: "No.", details: [{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason }, ...details] }),
  });

const retryIn = (delay) => ({ "@type": "type.googleapis.com/google.rpc.RetryInfo", retry_delay: delay });

/** The id of what has the focus in the widget. */
const focused = (page) => page.evaluate(() => document.querySelector("cagnotte-widget").shadowRoot.activeElement?.id);

const shown = (page) => page.locator("cagnotte-widget .figures").first().waitFor();

test("says each error in words, and that nothing was charged", async () => {
  for (const [answer, says, field] of [
    [refuse(400, "AMOUNT_TOO_SMALL"), "Le don minimum est de 1 €", "amount"],
    [refuse(400, "CAMPAIGN_NOT_OPEN"), "n’accepte pas de dons en ce moment. Rien n’a été débité."],
    [refuse(429, "TOO_MANY_DONATIONS", retryIn("240s")), "Réessayez dans 4 minutes"],
    [refuse(429, "TOO_MANY_DONATIONS", retryIn("0.5s")), "Réessayez dans 1 seconde"],
    [refuse(503, "STRIPE_UNAVAILABLE", retryIn("2s")), "Le service de paiement ne répond pas"],
    [refuse(403, "ORIGIN_NOT_ALLOWED"), "ne sont pas possibles depuis cette page"],
    [refuse(500, "SOMETHING_NEW"), "Un problème est survenu de notre côté"],
    [(route) => route.abort(), "Le service de dons est injoignable"],
    [(route) => route.fulfill({ status: 502, headers: { "Access-Control-Allow-Origin": "*" }, body: "<html>" }), "Le service de dons est injoignable"],
  ]) {
    await visit(browser, { expected: failedLoads }, async (page) => {
      await page.goto(hostPage);
      await answerDonations(page, answer);
      await page.getByRole("radio", { name: "20 €" }).check();
      await page.getByRole("button", { name: "Donner" }).click();
      const alert = page.getByRole("alert");
      await alert.waitFor();
      const text = await seen(alert);
      assert.ok(text.includes(says), `${text} does not say: ${says}`);
      assert.equal(await page.getByRole("button").getAttribute("aria-disabled"), "false");
      // Where a field is at fault the summary has the focus; else it stays where it was, and no field is marked.
      assert.equal(await focused(page), field ? "summary" : "button", says);
      assert.equal(await page.locator("cagnotte-widget [aria-invalid]").count(), field ? 1 : 0);
    });
  }
});

test("says what is wrong at its field before anything is sent, and leads there", async () => {
  await visit(browser, { viewport: { width: 390, height: 844 }, expected: failedLoads }, async (page) => {
    await page.goto(hostPage);
    const bodies = await answerDonations(page, (route) => route.abort());
    const amount = page.getByLabel("Autre montant");
    const described = (locator) => locator.evaluate((e) => e.getAttribute("aria-describedby").split(" ").map((id) => e.getRootNode().getElementById(id).textContent).join(" "));
    for (const [typed, says, field] of [
      ["", "Choisissez un montant", "presets"],
      ["vingt", "en chiffres", "amount"],
      ["1.000", "en chiffres", "amount"],
      ["-5", "en chiffres", "amount"],
      ["0,10", "Le don minimum est de 1 €", "amount"],
      ["999999", "Le don maximum est de", "amount"],
    ]) {
      await amount.fill(typed);
      await page.getByRole("button").click();
      const summary = page.getByRole("alert");
      const text = await seen(summary);
      assert.match(text, /^Il y a un problème/);
      assert.ok(text.includes(says), `“${typed}”: ${text}`);
      assert.equal(await focused(page), "summary");
      const box = await summary.boundingBox();
      assert.ok(box.y >= 0 && box.y + box.height <= 844, `“${typed}”: the summary is off screen`);
      const control = page.locator(`cagnotte-widget #${field}`);
      assert.equal(await control.getAttribute("aria-invalid"), "true");
      assert.equal(await page.locator("cagnotte-widget [aria-invalid]").count(), 1, "another field is marked, too");
      assert.ok((await described(control)).replace(/\s/g, " ").includes(says), `“${typed}”: the field does not say it`);
      // The edge that is marked is that of the field.
      const edge = (selector) => page.locator(`cagnotte-widget ${selector}`).first().evaluate((e) => getComputedStyle(e).borderTopColor);
      const red = await page.locator("cagnotte-widget #summary").evaluate((e) => getComputedStyle(e).borderTopColor);
      assert.deepEqual([await edge(".presets span"), await edge("#amount")], field === "amount" ? [await edge(".presets span"), red] : [red, await edge("#amount")]);
      assert.notEqual(await edge(".presets span"), await edge("#amount"));
      await summary.getByRole("link").click();
      assert.equal(page.url(), hostPage, "the link of the summary led away");
      assert.equal(await page.evaluate((want) => document.querySelector("cagnotte-widget").shadowRoot.activeElement.matches(want), field === "amount" ? "#amount" : "[name=preset]"), true);
    }
    // What is right takes the messages away.
    await page.getByLabel("Autre montant").fill("20");
    await page.getByRole("button").click();
    await page.getByText("injoignable").waitFor();
    assert.equal(await page.locator("cagnotte-widget [aria-invalid]").count(), 0);
    assert.equal(await page.getByRole("alert").count(), 1);
    assert.equal(bodies.length, 1);
  });
});

test("reads amounts as the pages do", async () => {
  const { EUR } = JSON.parse(readFileSync(new URL("./amounts.json", import.meta.url), "utf8"));
  for (const lang of ["fr", "en"]) {
    await visit(browser, {}, async (page) => {
      await page.goto(`${hostPage}?lang=${lang}`);
      await shown(page);
      const wrong = await page.evaluate(([table, locale]) => {
        const root = document.querySelector("cagnotte-widget").shadowRoot;
        const [input, button] = [root.getElementById("amount"), root.querySelector("button")];
        return Object.entries(table).flatMap(([typed, want]) => {
          input.value = typed;
          input.dispatchEvent(new Event("input"));
          const money = want && new Intl.NumberFormat(locale, { style: "currency", currency: "EUR", minimumFractionDigits: want % 100 ? 2 : 0 }).format(want / 100);
          const verb = locale === "en-GB" ? "Give" : "Donner";
          return button.textContent === (want ? `${verb} ${money}` : verb) ? [] : [`“${typed}”: ${button.textContent}`];
        });
      }, [EUR, lang === "en" ? "en-GB" : "fr-FR"]);
      assert.deepEqual(wrong, []);
    });
  }
});

test("sends the same donation again under the same id, and another one under another", async () => {
  await visit(browser, { expected: failedLoads }, async (page) => {
    await page.goto(`${hostPage}?from=letter`);
    const bodies = await answerDonations(page, (route) => route.abort());
    const give = async (amount) => {
      await page.getByLabel("Autre montant").fill(amount);
      await page.getByRole("button").click();
      await page.locator("#error:not(:empty)").waitFor();
    };
    await give("20");
    await give("20,00 euros");
    await give("21,5");
    const [first, again, other] = bodies;
    assert.match(first.request_id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.deepEqual(first, again);
    assert.notEqual(first.request_id, other.request_id);
    assert.deepEqual(other.donation.amount, { currency_code: "EUR", amount_minor: "2150" });
    assert.equal(first.donation.return_url, hostPage);
    assert.deepEqual(Object.keys(first).sort(), ["donation", "request_id"]);
    assert.deepEqual(Object.keys(first.donation).sort(), ["amount", "locale", "return_url"]);
  });
});

test("starts another donation when the first of that amount is over", async () => {
  await visit(browser, {}, async (page) => {
    await page.goto(hostPage);
    const bodies = await answerDonations(page, (route, nth) =>
      nth === 1
        ? route.fulfill({ status: 200, headers: { "Access-Control-Allow-Origin": "*" }, json: { checkout_url: "" } })
        : route.continue());
    await page.getByRole("radio", { name: "20 €" }).check();
    await page.getByRole("button").click();
    await page.waitForURL((url) => url.origin === stripe);
    assert.notEqual(bodies[0].request_id, bodies[1].request_id);
  });
});

test("never goes to an address that is no payment page", async () => {
  for (const checkout_url of ["javascript:alert(1)", "http://checkout.example/", "data:text/html,x", "nonsense"]) {
    await visit(browser, {}, async (page) => {
      await page.goto(hostPage);
      await answerDonations(page, (route) => route.fulfill({ status: 200, headers: { "Access-Control-Allow-Origin": "*" }, json: { checkout_url } }));
      await page.getByRole("radio", { name: "20 €" }).check();
      await page.getByRole("button").click();
      await page.locator("#error:not(:empty)").waitFor();
      assert.equal(page.url(), hostPage);
    });
  }
});

test("is ready again when the browser brings the page back", async () => {
  await visit(browser, {}, async (page) => {
    await page.goto(hostPage);
    let sent;
    const posted = new Promise((resolve) => (sent = resolve));
    await answerDonations(page, () => sent()); // and never answers
    await page.getByRole("radio", { name: "20 €" }).check();
    await page.getByRole("button").click();
    await posted;
    assert.equal(await page.getByRole("button").innerText(), "Un instant…");
    const refreshed = page.waitForResponse(`${service}/v1/${campaign}/progress`);
    await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true })));
    await refreshed;
    assert.equal(await seen(page.getByRole("button")), "Donner 20 €");
  });
});

test("keeps what is typed while the progress moves", async () => {
  await visit(browser, {}, async (page) => {
    await page.goto(hostPage);
    await page.getByLabel("Autre montant").fill("33");
    await page.route(`${service}/v1/${campaign}/progress`, async (route) => {
      const response = await route.fetch();
      const json = await response.json();
      json.settled.amount_minor = "100050";
      json.pending.amount_minor = "2000";
      await route.fulfill({ response, json });
    });
    await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    await page.getByText("125 %").waitFor();
    assert.equal(await seen(page.locator(".raised")), "1 000,50 €");
    assert.match(await page.getByRole("progressbar").getAttribute("aria-valuetext"), /125\s%.*20\s€ en cours de confirmation/);
    assert.equal(await page.getByRole("progressbar").getAttribute("aria-valuenow"), "100");
    assert.equal(await page.getByLabel("Autre montant").inputValue(), "33");
    assert.equal(await page.locator("li.reached").count(), 3);
  });
});

test("asks for the sums alone, later when nothing moves, and for the campaign when it changed", async () => {
  await visit(browser, {}, async (page) => {
    const asked = [];
    page.on("request", (request) => request.url().includes("/v1/") && asked.push(request.url().replace(`${service}/v1/${campaign}`, "")));
    await page.clock.install();
    await page.goto(hostPage);
    await page.getByRole("button").waitFor();
    assert.deepEqual(asked.splice(0), ["", "/pledgeMethods"]);
    const waited = async (seconds) => {
      await page.clock.runFor(seconds * 1000);
      // The answer comes in real time, and sets the next timer.
      await new Promise((resolve) => setTimeout(resolve, 500));
      return asked.splice(0);
    };
    assert.deepEqual(await waited(26), []);
    assert.deepEqual(await waited(8), ["/progress"]);
    assert.deepEqual(await waited(39), [], "nothing moved, so the next comes later");
    assert.deepEqual(await waited(12), ["/progress"]);
    // Nobody looks, nobody asks.
    await page.evaluate(() => {
      Object.defineProperty(document, "visibilityState", { configurable: true, value: "hidden" });
      document.dispatchEvent(new Event("visibilitychange"));
    });
    assert.deepEqual(await waited(1000), []);
    // Something else than the sums is another.
    let changed = "a";
    await page.route(`${service}/v1/${campaign}/progress`, async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, json: { ...(await response.json()), revision: changed } });
    });
    await page.route(`${service}/v1/${campaign}`, async (route) => {
      const response = await route.fetch();
      const json = { ...(await response.json()), revision: "a", accepting_donations: false, accepting_cards: false, state: "CAMPAIGN_STATE_PAUSED" };
      // The text that replaces the answer is not compressed.
      const { "content-encoding": _, "content-length": __, ...headers } = response.headers();
      await route.fulfill({ status: 200, headers, json });
    });
    await page.evaluate(() => {
      delete document.visibilityState;
      document.dispatchEvent(new Event("visibilitychange"));
    });
    await page.clock.runFor(10);
    await page.locator("[part=closed]").waitFor();
    assert.deepEqual(asked.splice(0), ["/progress", ""]);
    assert.deepEqual(await waited(34), ["/progress"], "and then the sums alone again");
  });
});

test("shows its fallback when the service cannot be reached, and the campaign as soon as it can", async () => {
  await visit(browser, { expected: failedLoads }, async (page, context) => {
    await page.clock.install();
    let away = true;
    await page.route(`${service}/**`, (route) => (away && (route.request().url().includes("/v1/") || route.request().method() === "HEAD") ? route.abort() : route.continue()));
    await page.goto(hostPage);
    await page.getByText("ne peut pas s’afficher pour le moment").waitFor();
    await page.getByRole("link", { name: "Donner" }).waitFor();
    assert.equal(await page.getByText("Pour l’équipe de ce site").count(), 0, "nothing is wrong with the page");
    away = false;
    await page.clock.runFor(60_000);
    await shown(page);
  });
});

test("tells who owns the page what is wrong with it, and donors where they can give", async () => {
  const elsewhere = site.replace("127.0.0.1", "localhost");
  for (const [what, options, body, says, link, console_] of [
    ["an origin that is not allowed", { origin: elsewhere }, snippet(), `${elsewhere} ne figure pas parmi les sites autorisés de la collecte ${campaign}`, "Donner sur la page de la collecte", "/console/c/vallon-contre-cameras/spread/avocate"],
    ["a draft, or no campaign", {}, snippet({ name: "collectives/vallon-contre-cameras/campaigns/inconnue" }), "aucune collecte publiée ne s’appelle collectives/vallon-contre-cameras/campaigns/inconnue", "Donner", "/console/c/vallon-contre-cameras/spread/inconnue"],
    ["a name of another form", {}, snippet({ name: "vallon/avocate" }), "l’attribut « campaign » manque, ou n’est pas de la forme", "Donner", "/console"],
    ["no name", {}, snippet().replace(/campaign="[^"]*"/, ""), "l’attribut « campaign » manque", "Donner", "/console"],
  ]) {
    const lines = [];
    await visit(browser, { origins: [elsewhere], expected: /Failed to load|blocked by CORS|cagnotte-widget/ }, async (page) => {
      page.on("console", (message) => message.type() === "error" && message.text().startsWith("<cagnotte-widget>") && lines.push(message.text().replace(/\s/g, " ")));
      await page.clock.install();
      await page.goto(await hosting(page, body, options));
      await page.getByText("n’est pas encore disponible ici").waitFor();
      const text = await seen(page.locator(".owner"));
      assert.match(text, /^Pour l’équipe de ce site : /);
      assert.ok(text.includes(says), `${what}: ${text}`);
      assert.equal(await page.getByRole("link", { name: "Vérifier dans la console" }).getAttribute("href"), service + console_);
      const way = page.getByRole("link", { name: link, exact: true });
      assert.equal((await way.getAttribute("href")).split("?")[0], campaignPage);
      // It is said once in the browser's console, however often the widget looks again.
      await page.clock.runFor(200_000);
      assert.equal(lines.length, 1, `${what}: ${lines}`);
      assert.ok(lines[0].includes(says) && lines[0].includes(service + console_), lines[0]);
      await accessible(page);
    });
  }
});

test("leads to the slip, by the ways that the campaign takes", async () => {
  for (const [methods, says] of [
    [["TRANSFER", "CHEQUE", "CASH"], "Donner par virement, par chèque ou en espèces"],
    [["CASH"], "Donner en espèces"],
    [["TRANSFER", "SOMETHING_NEW"], "Donner par virement"],
    [[], null],
  ]) {
    for (const cards of [true, false]) {
      await visit(browser, {}, async (page) => {
        await page.route(`${service}/v1/${campaign}/pledgeMethods`, (route) => route.fulfill({
          headers: { "Access-Control-Allow-Origin": "*" }, json: { methods: methods.map((name) => `OFFLINE_METHOD_${name}`) },
        }));
        await pretend(page, (json) => (json.accepting_cards = cards));
        await page.goto(hostPage);
        await shown(page);
        const way = page.getByRole("link", { name: /^Donner (par|en) / });
        assert.equal(await way.count(), says ? 1 : 0);
        if (says) {
          assert.equal(await seen(way), says);
          await way.click();
          await page.waitForURL(/\/pledge/);
          await page.getByRole("heading", { level: 1 }).waitFor();
        }
      });
    }
  }
});

test("a card that is offline in the middle says so, and gives the same donation when it is back", async () => {
  await visit(browser, { expected: failedLoads }, async (page, context) => {
    const bodies = [];
    page.on("request", (request) => request.url() === donationsURL && request.method() === "POST" && bodies.push(request.postDataJSON()));
    await page.goto(hostPage);
    await page.getByRole("radio", { name: "20 €" }).check();
    await context.setOffline(true);
    await page.getByRole("button").click();
    await page.getByText("Vérifiez votre connexion et réessayez").waitFor();
    await context.setOffline(false);
    await page.getByRole("button", { name: "Donner 20 €" }).click();
    await page.waitForURL((url) => url.origin === stripe);
    assert.equal(new Set(bodies.map((body) => body.request_id)).size, 1);
  });
});

test("a clock that is wrong changes nothing", async () => {
  for (const time of ["2001-01-01T00:00:00Z", "2099-01-01T00:00:00Z"]) {
    await visit(browser, {}, async (page) => {
      await page.clock.setFixedTime(time);
      await pretend(page, (json) => (json.deadline_date = "2027-06-30"));
      await page.goto(hostPage);
      await page.getByText("Jusqu’au 30 juin 2027").waitFor();
      await page.getByRole("radio", { name: "20 €" }).check();
      await page.getByRole("button", { name: "Donner 20 €" }).click();
      await page.waitForURL((url) => url.origin === stripe);
    });
  }
});

test("two on one page have names of their own", async () => {
  await visit(browser, {}, async (page) => {
    const other = "collectives/vallon-contre-cameras/campaigns/autre";
    await page.route(`${service}/v1/${other}*/**`, (route) => route.fulfill({ headers: { "Access-Control-Allow-Origin": "*" }, json: {} }));
    await page.route(`${service}/v1/${other}`, async (route) => {
      const json = await (await fetch(`${service}/v1/${campaign}`)).json();
      json.texts.fr.title = "Une cantine : pour toutes";
      await route.fulfill({ headers: { "Access-Control-Allow-Origin": "*" }, json });
    });
    await page.goto(await hosting(page, snippet() + snippet({ name: other })));
    for (const name of ["Une avocate contre les caméras", "Une cantine : pour toutes"]) {
      const region = page.getByRole("region", { name, exact: true });
      await region.getByRole("form", { name, exact: true }).waitFor();
      await region.getByRole("progressbar", { name, exact: true }).waitFor();
      await region.getByRole("link", { name: `Lire toute l’histoire ${name}`, exact: true }).waitFor();
      const button = region.getByRole("button");
      assert.ok((await button.evaluate((e) => e.getRootNode().getElementById(e.getAttribute("aria-describedby").split(" ")[0]).textContent.replace(/\s/g, " "))) === name);
    }
    await accessible(page);
  });
});

test("no number of amounts leaves one alone in its row, at any width", async () => {
  for (const count of [1, 2, 3, 4, 5, 6, 7, 8]) {
    await visit(browser, { viewport: { width: 320, height: 800 } }, async (page) => {
      await pretend(page, (json) => (json.presets = [5, 10, 20, 30, 50, 100, 500, 1000].slice(-count).map((euros) => ({ currency_code: "EUR", amount_minor: String(euros * 100) }))));
      await page.goto(hostPage);
      await shown(page);
      for (const width of [320, 360, 390, 430, 520, 640, 768, 1024, 1440]) {
        await page.setViewportSize({ width, height: 800 });
        const rows = await page.evaluate(() => {
          const rows = {};
          const box = document.querySelector("cagnotte-widget").shadowRoot.querySelector(".presets");
          for (const label of box.children) {
            const at = label.getBoundingClientRect();
            // One that has its row to itself, from edge to edge, is not left over.
            if (box.children.length > 1 && at.width > box.clientWidth - 2) continue;
            if (label.lastChild.scrollWidth > label.lastChild.clientWidth) rows.overflow = 1;
            rows[Math.round(at.top)] = (rows[Math.round(at.top)] ?? 0) + 1;
          }
          return Object.values(rows);
        });
        assert.ok(count === 1 || !rows.includes(1), `${count} amounts at ${width} px stand in rows of ${rows}`);
      }
    });
  }
});

test("a French card has its own direction in a page from right to left", async () => {
  await visit(browser, { viewport: { width: 390, height: 844 } }, async (page) => {
    await page.goto(await hosting(page, snippet(), { html: 'lang="ar" dir="rtl"' }));
    await shown(page);
    const x = async (selector) => (await page.locator(`cagnotte-widget ${selector}`).boundingBox()).x;
    assert.ok((await x(".raised")) < (await x(".percent")), "the figures run from right to left");
    assert.equal(await page.locator("cagnotte-widget .card").evaluate((e) => getComputedStyle(e).direction), "ltr");
    assert.equal(await page.locator("body").evaluate((e) => getComputedStyle(e).direction), "rtl");
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth));
  });
});

test("the version of the script is checked by a browser, under a strict policy, and an older one leaves the link", async () => {
  const script = await (await fetch(`${service}/widget.js`)).arrayBuffer();
  const digest = Buffer.from(await crypto.subtle.digest("SHA-384", script)).toString("base64");
  const name = Buffer.from(await crypto.subtle.digest("SHA-256", script)).subarray(0, 12).toString("base64url");
  const policy = { "Content-Security-Policy": `default-src 'none'; script-src ${service}; connect-src ${service}; require-trusted-types-for 'script'; trusted-types 'none'` };
  const body = snippet().replace(/ style="[^"]*"/, "");
  const line = (path, integrity) => `<script defer src="${service}${path}" integrity="sha384-${integrity}" crossorigin="anonymous"></script>`;
  await visit(browser, {}, async (page) => {
    await page.goto(await hosting(page, body, { head: line(`/widget/${name}.js`, digest), headers: policy }));
    await shown(page);
    await page.getByRole("radio", { name: "20 €" }).check();
    await page.getByRole("button", { name: "Donner 20 €" }).click();
    await page.waitForURL((url) => url.origin === stripe);
  });
  for (const [path, integrity] of [["/widget/AAAAAAAAAAAAAAAA.js", digest], [`/widget/${name}.js`, digest.replace(/^./, (c) => (c === "A" ? "B" : "A"))]]) {
    await visit(browser, { expected: /Failed to load|integrity|blocked by CORS/ }, async (page) => {
      await page.goto(await hosting(page, body, { head: line(path, integrity), headers: policy }));
      await page.getByRole("link", { name: "Donner" }).waitFor();
      assert.equal(await page.locator("cagnotte-widget").evaluate((e) => e.shadowRoot), null);
    });
  }
});

test("axe finds nothing in any state, in either language", async () => {
  const paused = (json) => Object.assign(json, { accepting_donations: false, accepting_cards: false, state: "CAMPAIGN_STATE_PAUSED" });
  for (const lang of ["fr", "en"]) {
    for (const [change, act] of [
      [() => {}], [paused], [(json) => Object.assign(paused(json), { state: "CAMPAIGN_STATE_CLOSED" })], [(json) => Object.assign(paused(json), { collective_suspended: true })],
      [(json) => (json.accepting_cards = false)], [(json) => (json.presets = [])],
      [() => {}, (page) => page.getByRole("button").click()],
      [() => {}, async (page) => {
        await answerDonations(page, refuse(503, "STRIPE_UNAVAILABLE"));
        await page.locator("cagnotte-widget .preset").nth(3).click();
        await page.locator("cagnotte-widget .preset").nth(1).click();
        await page.getByRole("button").click();
        await page.getByRole("alert").waitFor();
      }],
    ]) {
      await visit(browser, { expected: failedLoads }, async (page) => {
        await pretend(page, change);
        await page.goto(await hosting(page, snippet({ lang }), { html: `lang="${lang}"` }));
        await shown(page);
        await act?.(page);
        await accessible(page);
      });
    }
  }
});

test("forced colours keep what is chosen, and no motion is shown to who wants none", async () => {
  await visit(browser, { forcedColors: "active", reducedMotion: "reduce" }, async (page) => {
    await page.goto(hostPage);
    await page.getByRole("radio", { name: "20 €" }).check();
    const look = (selector, property) => page.locator(`cagnotte-widget ${selector}`).first().evaluate((e, p) => getComputedStyle(e)[p], property);
    assert.notEqual(await look(".presets input:checked + span", "backgroundColor"), await look(".presets input:not(:checked) + span", "backgroundColor"));
    assert.notEqual(await look(".settled", "backgroundColor"), await look(".bar", "backgroundColor"));
    assert.match(await look(".bar", "borderTopStyle"), /solid/);
    assert.match(await look("button", "borderTopStyle"), /solid/);
    assert.equal(await look(".settled", "transitionDuration"), "0s");
  });
  await visit(browser, { reducedMotion: "no-preference" }, async (page) => {
    await page.goto(hostPage);
    await shown(page);
    assert.notEqual(await page.locator("cagnotte-widget .settled").evaluate((e) => getComputedStyle(e).transitionDuration), "0s");
  });
});

test("fits from 280 px to wide, without a scroll bar of its own, and the host's styles stay outside", async () => {
  for (const width of [280, 360, 768, 1280]) {
    await visit(browser, { viewport: { width, height: 700 } }, async (page) => {
      await page.goto(hostPage);
      await page.getByRole("button").waitFor();
      const { over, inside, align } = await page.evaluate(() => {
        const card = document.querySelector("cagnotte-widget").shadowRoot.querySelector(".card");
        return {
          over: document.documentElement.scrollWidth - document.documentElement.clientWidth,
          inside: [card, ...card.querySelectorAll("*")]
            .filter((element) => element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).overflowX !== "visible").map((element) => element.className),
          align: getComputedStyle(card).textAlign,
        };
      });
      assert.ok(over <= 0, `${width} px: the page scrolls sideways by ${over}`);
      assert.deepEqual(inside.filter((name) => name !== "bar"), []);
      assert.equal(align, "start");
    });
  }
});
