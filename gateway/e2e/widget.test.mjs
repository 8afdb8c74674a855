// The widget by itself: what it says when something goes wrong, what it sends again, how it fits.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { campaign, donationsURL, hostPage, launch, seen, service, stripe, visit } from "./visitor.mjs";

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

test("says each error in words, and that nothing was charged", async () => {
  for (const [answer, says] of [
    [refuse(400, "AMOUNT_TOO_SMALL"), "Le plus petit don possible est de 1 €"],
    [refuse(400, "CAMPAIGN_NOT_OPEN"), "ne prend pas de dons en ce moment. Rien n’a été débité."],
    [refuse(429, "TOO_MANY_DONATIONS", retryIn("240s")), "Réessayez dans 4 minutes"],
    [refuse(429, "TOO_MANY_DONATIONS", retryIn("0.5s")), "Réessayez dans 1 seconde"],
    [refuse(503, "STRIPE_UNAVAILABLE", retryIn("2s")), "Le service de paiement ne répond pas"],
    [refuse(403, "ORIGIN_NOT_ALLOWED"), "Cette page n’est pas autorisée"],
    [refuse(500, "SOMETHING_NEW"), "Quelque chose n’a pas marché de notre côté"],
    [(route) => route.abort(), "Impossible de joindre le serveur des dons"],
    [(route) => route.fulfill({ status: 502, headers: { "Access-Control-Allow-Origin": "*" }, body: "<html>" }), "Impossible de joindre le serveur des dons"],
  ]) {
    await visit(browser, { expected: failedLoads }, async (page) => {
      await page.goto(hostPage);
      await answerDonations(page, answer);
      await page.getByRole("radio", { name: "20 €" }).check();
      await page.getByRole("button", { name: "Donner" }).click();
      await page.locator("#error:not(:empty)").waitFor();
      const text = await seen(page.getByRole("alert"));
      assert.ok(text.includes(says), `${text} does not say: ${says}`);
      assert.equal(await page.getByRole("button").getAttribute("aria-disabled"), "false");
    });
  }
});

test("says what is wrong with an amount before anything is sent", async () => {
  await visit(browser, {}, async (page) => {
    await page.goto(hostPage);
    const bodies = await answerDonations(page, (route) => route.abort());
    for (const [typed, says] of [
      ["", "Choisissez un montant"],
      ["vingt", "en chiffres"],
      ["1.000", "en chiffres"],
      ["-5", "en chiffres"],
      ["0,10", "Le plus petit don possible est de 1 €"],
      ["999999", "Le plus grand don possible"],
    ]) {
      await page.getByLabel("Autre montant").fill(typed);
      await page.getByRole("button").click();
      const text = await seen(page.getByRole("alert"));
      assert.ok(text.includes(says), `“${typed}”: ${text}`);
      assert.equal(await page.getByLabel("Autre montant").getAttribute("aria-invalid"), "true");
    }
    assert.deepEqual(bodies, []);
  });
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
    await give("20,00");
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
    assert.deepEqual(asked.splice(0), [""]);
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

test("shows its fallback, and why, when the campaign cannot be had", async () => {
  for (const [answer, says] of [
    [(route) => route.abort(), "ne peut pas s’afficher"],
    [refuse(404, "NOT_FOUND"), "n’existe pas, ou n’est pas encore publiée"],
  ]) {
    await visit(browser, { expected: failedLoads }, async (page) => {
      await page.route(`${service}/v1/${campaign}`, answer);
      await page.goto(hostPage);
      await page.getByText(says).waitFor();
      await page.getByRole("link", { name: "Donner" }).waitFor();
    });
  }
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
