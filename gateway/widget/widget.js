// <cagnotte-widget campaign="collectives/…/campaigns/…" lang="fr|en" return-url="…">
//
// Shows a campaign's progress and starts a donation, on any page of an origin that the campaign
// allows. It loads nothing but the campaign from the server that it came from, keeps no cookie
// and stores nothing. What stands inside the element is shown until the campaign is there, and
// when it cannot be: put a link to the campaign's page there.
//
// The server puts the style sheet, the catalogues and words.js in place of the strings in braces.
(() => {
  "use strict";

  const CSS = "{{css}}";
  const STRINGS = "{{strings}}";
  /** The time between two looks at the progress, and the longest, when nothing moves. */
  const POLL_MS = 30_000;
  const POLL_MAX_MS = 300_000;
  const TIMEOUT_MS = 20_000;

  if (customElements.get("cagnotte-widget")) return;

  // Classic scripts know themselves while they run, deferred and async ones too; a module does not.
  const script = document.currentScript ?? document.querySelector('script[src*="/widget.js"]');
  const base = new URL(".", script.src).href;

  const sheet = new CSSStyleSheet();
  sheet.replaceSync(CSS);

  /** Builds an element; `true` sets an empty attribute, `false` and null none. No HTML is ever parsed. */
  function h(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child != null));
    return element;
  }

  /** A version 4 UUID. crypto.randomUUID is missing on plain http, getRandomValues is not. */
  function uuid() {
    const b = crypto.getRandomValues(new Uint8Array(16));
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    const hex = Array.from(b, (x) => x.toString(16).padStart(2, "0")).join("");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  }

  const minor = (money) => Number(money?.amount_minor ?? 0);

  "{{words.js}}";

  /** An error of the API, by its reason; NETWORK when there was no answer. */
  class Failure extends Error {
    constructor(reason, retrySeconds = 0) {
      super(reason);
      this.reason = reason;
      this.retrySeconds = retrySeconds;
    }
  }

  async function call(path, body) {
    let response, answer;
    try {
      response = await fetch(`${base}v1/${path}`, {
        method: body ? "POST" : "GET",
        headers: body ? { "Content-Type": "application/json" } : {},
        body: body && JSON.stringify(body),
        credentials: "omit",
        // What is asked for again is asked for by its ETag, and comes only when it is another.
        cache: body ? "no-store" : "no-cache",
        referrerPolicy: "no-referrer",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      answer = await response.json();
    } catch {
      throw new Failure("NETWORK");
    }
    if (response.ok) return answer;
    const reason = answer.details?.find((detail) => detail.reason)?.reason ?? "OTHER";
    const delay = answer.details?.find((detail) => detail.retry_delay)?.retry_delay;
    throw new Failure(reason, Math.max(1, Math.ceil(parseFloat(delay) || 60)));
  }

  const ERRORS = {
    AMOUNT_TOO_SMALL: "errorTooSmall",
    AMOUNT_TOO_LARGE: "errorTooLarge",
    CAMPAIGN_NOT_OPEN: "errorNotOpen",
    STRIPE_ACCOUNT_DISCONNECTED: "errorNoCards",
    STRIPE_ACCOUNT_NOT_READY: "errorNoCards",
    NOT_FOUND: "errorNotOpen",
    ORIGIN_NOT_ALLOWED: "errorPage",
    RETURN_URL_NOT_ALLOWED: "errorPage",
    TOO_MANY_DONATIONS: "errorTooMany",
    STRIPE_UNAVAILABLE: "errorStripe",
    TOO_BUSY: "errorStripe",
    UNAVAILABLE: "errorNetwork",
    NETWORK: "errorNetwork",
  };

  class CagnotteWidget extends HTMLElement {
    static observedAttributes = ["campaign", "lang"];

    #root = this.attachShadow({ mode: "open" });
    #campaign;
    #words;
    /** Request ids by donation, in memory only: the same donation sent again is not a second one. */
    #requests = new Map();
    #busy = false;
    #shown = "";
    #timer;
    #delay = POLL_MS;
    #listeners;

    constructor() {
      super();
      this.#root.adoptedStyleSheets = [sheet];
      this.#root.append(h("div", { class: "room" }, h("slot")));
    }

    connectedCallback() {
      this.#listeners = new AbortController();
      const { signal } = this.#listeners;
      document.addEventListener("visibilitychange", () => this.#schedule(0), { signal });
      addEventListener("pageshow", (event) => event.persisted && this.#restored(), { signal });
      this.#schedule(0);
    }

    disconnectedCallback() {
      this.#listeners.abort();
      clearTimeout(this.#timer);
    }

    attributeChangedCallback(name, before, after) {
      if (before === after || !this.isConnected) return;
      if (name === "campaign") this.#campaign = undefined;
      this.#shown = "";
      this.#schedule(0);
    }

    get #name() {
      return this.getAttribute("campaign") ?? "";
    }

    get #lang() {
      const lang = (this.closest("[lang]")?.lang ?? "").slice(0, 2).toLowerCase();
      return lang in STRINGS ? lang : "fr";
    }

    /** Where to come back to: this page without its query and fragment, which may tell who came
     *  and whence. A site whose pages are told apart by their query says it in `return-url`. */
    get #returnURL() {
      const said = this.getAttribute("return-url");
      const url = said ? new URL(said, document.baseURI) : new URL(location.pathname, location.origin);
      return /^https?:/.test(url.protocol) && url.href.length <= 1000 ? url.href : "";
    }

    #schedule(delay) {
      clearTimeout(this.#timer);
      if (document.visibilityState !== "visible") return;
      this.#timer = setTimeout(() => this.#refresh(), delay);
    }

    /** The next look, later each time that nothing moved; not all widgets of the world at once. */
    #later(moved) {
      this.#delay = moved ? POLL_MS : Math.min(this.#delay * 1.5, POLL_MAX_MS);
      this.#schedule(this.#delay * (0.9 + Math.random() * 0.2));
    }

    async #refresh() {
      const name = this.#name;
      let moved = false;
      try {
        const campaign = await this.#read(name);
        if (name !== this.#name || !this.isConnected) return;
        moved = JSON.stringify(campaign) !== JSON.stringify(this.#campaign);
        this.#campaign = campaign;
        this.#words = new Words(this.#lang, campaign.goal.currency_code);
        this.#render();
      } catch (error) {
        // What is already shown stays: a poll that fails is no news to anybody.
        if (!this.#campaign) this.#renderFailure(error);
        if (!(error instanceof Failure)) throw error;
      } finally {
        if (this.isConnected) this.#later(moved);
      }
    }

    /** The campaign as it is now: the sums alone, unless anything else changed. */
    async #read(name) {
      const known = this.#campaign;
      if (!known) return call(name);
      const { settled, pending, revision } = await call(`${name}/progress`);
      return revision === known.revision ? { ...known, progress: { settled, pending } } : call(name);
    }

    /** The browser brought the page back as it was left, on its way to the payment page. */
    #restored() {
      this.#setBusy(false);
      this.#schedule(0);
    }

    #renderFailure(error) {
      const words = new Words(this.#lang, "EUR");
      const text = words.say(error.reason === "NOT_FOUND" ? "errorMissing" : "errorLoad");
      this.#shown = "";
      this.#root.replaceChildren(h("section", { class: "card", part: "card", lang: words.lang },
        h("div", {}, h("p", { class: "error", part: "error" }, text), h("slot"))));
    }

    /** Builds everything once, and again only when more than the progress changed, so that nobody
     *  loses the amount that they are typing. */
    #render() {
      const { progress, etag, update_time, revision, ...rest } = this.#campaign;
      const shape = this.#words.lang + JSON.stringify(rest);
      if (shape !== this.#shown) {
        this.#shown = shape;
        this.#root.replaceChildren(this.#card());
      }
      this.#renderProgress();
    }

    #card() {
      const campaign = this.#campaign;
      const words = this.#words;
      const textLang = campaign.texts[words.lang] ? words.lang : "fr";
      const stages = campaign.stages ?? [];
      const closed = campaign.collective_suspended ? "suspended" : campaign.state === "CAMPAIGN_STATE_PAUSED" ? "paused" : "ended";
      const path = `${base}c/${this.#name.replace("collectives/", "").replace("campaigns/", "")}`;
      const page = `${path}?lang=${words.lang}`;
      return h("section", { class: "card", part: "card", lang: words.lang, "aria-labelledby": "title" },
        h("div", { class: "head" },
          h("p", { class: "collective", part: "collective" }, campaign.collective_display_name),
          h("h2", { id: "title", part: "title", lang: textLang }, campaign.texts[textLang].title),
          h("div", { class: "figures" },
            h("span", { class: "raised", part: "raised" }),
            h("span", { class: "goal", part: "goal" }, words.say("goal", { goal: words.money(minor(campaign.goal)) })),
            h("span", { class: "percent", part: "percent" })),
          h("div", { class: "bar", part: "bar", role: "progressbar", "aria-labelledby": "title", "aria-valuemin": 0, "aria-valuemax": 100 },
            h("div", { class: "fill settled", part: "settled" }), h("div", { class: "fill waiting", part: "waiting" })),
          h("p", { class: "pending", part: "pending" }),
          campaign.deadline_date && campaign.accepting_donations
            ? h("p", { class: "pending", part: "deadline" }, words.say("deadline", { date: words.date(campaign.deadline_date) })) : null),
        campaign.accepting_cards ? this.#form(page) : h("div", { class: "give" },
          h("p", { class: "closed", part: "closed" }, words.say(campaign.accepting_donations ? "noCards" : closed)),
          campaign.accepting_donations
            ? h("p", {}, h("a", { href: `${path}/pledge?lang=${words.lang}`, part: "link" }, words.say("pledge"))) : null,
          this.#more(page)),
        stages.length ? h("div", { class: "steps", part: "stages" }, h("h3", {}, words.say("stages")), h("ol", {})) : null);
    }

    #more(page) {
      return h("p", { class: "note" }, h("a", { href: page, part: "link" }, this.#words.say("more")));
    }

    #renderProgress() {
      const { goal, progress, stages = [] } = this.#campaign;
      const words = this.#words;
      const settled = minor(progress?.settled);
      const pending = minor(progress?.pending);
      const target = minor(goal);
      const ratio = target > 0 ? settled / target : 0;
      const find = (selector) => this.#root.querySelector(selector);

      find(".raised").textContent = words.money(settled);
      find(".percent").textContent = words.percent(ratio);
      const waiting = find(".pending");
      waiting.hidden = pending <= 0;
      waiting.textContent = words.say("pending", { amount: words.money(pending) });

      // Past the goal the bar stands for what came in, and a tick shows where the goal was.
      const scale = Math.max(target, settled + Math.max(pending, 0), 1);
      const at = (amount) => `${Math.min(100, Math.max(0, (amount / scale) * 100))}%`;
      const bar = find(".bar");
      find(".settled").style.inlineSize = at(settled);
      find(".waiting").style.inlineSize = at(pending);
      bar.querySelectorAll(".tick").forEach((tick) => tick.remove());
      let sum = 0;
      const ends = stages.map((stage) => (sum += minor(stage.amount)));
      for (const end of new Set([...ends, target])) {
        if (end >= scale) continue;
        const tick = h("div", { class: end === target ? "tick end" : "tick" });
        tick.style.insetInlineStart = at(end);
        bar.append(tick);
      }
      bar.setAttribute("aria-valuenow", Math.min(100, Math.max(0, Math.floor(ratio * 100))));
      const text = words.say("progress", { amount: words.money(settled), goal: words.money(target), percent: words.percent(ratio) });
      bar.setAttribute("aria-valuetext", pending > 0 ? `${text} (${waiting.textContent})` : text);

      find("ol")?.replaceChildren(...stages.map((stage, i) => this.#stage(stage, i, settled, ends)));
    }

    #stage(stage, i, settled, ends) {
      const words = this.#words;
      const start = ends[i - 1] ?? 0;
      const state = settled >= ends[i] ? "reached" : settled >= start ? "current" : "upcoming";
      const lang = stage.titles[words.lang] ? words.lang : "fr";
      return h("li", { class: state, part: `stage stage-${state}` },
        h("span", { class: "mark", "aria-hidden": "true" }, state === "reached" ? "✓" : String(i + 1)),
        h("span", { lang }, stage.titles[lang]),
        h("span", { class: "cost" }, words.money(minor(stage.amount))),
        h("span", { class: "state" }, state === "current"
          ? words.say("missing", { amount: words.money(ends[i] - settled) }) : words.say(state)));
    }

    #form(page) {
      const { presets = [], minimum, maximum } = this.#campaign;
      const words = this.#words;
      const input = h("input", {
        id: "amount", part: "amount", type: "text", inputmode: "decimal", autocomplete: "off",
        maxlength: 16, "aria-describedby": "bounds error",
      });
      const radios = presets.map((preset) => h("input", { type: "radio", name: "preset", value: minor(preset) }));
      const button = h("button", { part: "button" }, words.say("give"));
      const monthly = h("input", { type: "radio", name: "often", value: "monthly" });
      const often = [h("input", { type: "radio", name: "often", value: "once", checked: true }), monthly];
      const cover = h("input", { type: "checkbox", id: "cover" });
      const whole = h("span", { class: "whole" });
      const chosen = () => radios.find((radio) => radio.checked);
      const update = () => {
        const amount = input.value.trim() ? words.parse(input.value) : chosen() && Number(chosen().value);
        const all = amount && this.#whole(amount);
        whole.textContent = all ? words.say("whole", { amount: words.money(all) }) : "";
        if (!this.#busy) {
          const sum = amount && { amount: words.money(cover.checked ? all : amount) };
          button.textContent = words.say(sum ? (monthly.checked ? "giveMonthly" : "giveAmount") : "give", sum);
        }
        note.textContent = words.say(monthly.checked ? "noteMonthly" : "note");
        return amount;
      };
      const note = h("p", { class: "note", part: "note" }, words.say("note"));
      input.addEventListener("input", () => {
        for (const radio of radios) radio.checked = false;
        this.#say("");
        update();
      });
      for (const radio of radios) {
        radio.addEventListener("change", () => {
          input.value = "";
          this.#say("");
          update();
        });
      }
      for (const control of [...often, cover]) control.addEventListener("change", update);
      const form = h("form", { class: "give", novalidate: true },
        h("fieldset", { class: "often", part: "often" },
          h("legend", {}, words.say("choose")),
          ...often.map((radio) => h("label", { class: "preset" }, radio, h("span", {}, words.say(radio.value))))),
        h("fieldset", { "aria-label": words.say("howMuch") },
          h("div", { class: "presets", part: "presets" }, ...radios.map((radio) =>
            h("label", { class: "preset" }, radio, h("span", { part: "preset" }, words.money(Number(radio.value)))))),
          h("label", { class: "free", for: "amount" }, words.say("other")),
          h("div", { class: "field" }, input, h("span", { "aria-hidden": "true" }, words.symbol)),
          h("p", { class: "hint", id: "bounds" }, words.say("bounds", this.#bounds())),
          this.#campaign.fee_estimate
            ? h("label", { class: "cover", part: "cover" }, cover, h("span", {}, words.say("cover"), " ", whole)) : null),
        h("p", { class: "error", id: "error", part: "error", role: "alert" }),
        button,
        note,
        this.#more(page));
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        if (this.#busy) return;
        const typed = input.value.trim() !== "";
        const amount = update();
        const wrong = amount === null ? "errorAmount"
          : !typed && !amount ? "errorChoose"
          : amount < minor(minimum) ? "errorTooSmall"
          : amount > minor(maximum) ? "errorTooLarge" : "";
        if (wrong) {
          this.#say(words.say(wrong, this.#bounds()), true);
          (typed || !radios.length ? input : chosen() ?? radios[0]).focus();
          return;
        }
        this.#give(amount, { recurrence: monthly.checked ? "RECURRENCE_MONTHLY" : undefined, cover_fee: cover.checked || undefined });
      });
      return form;
    }

    /** The sum of which, by the campaign's estimate, the amount is left when the fee is paid. The
     *  service computes it again; this is for the eye. */
    #whole(amount) {
      const { basis_points = 0, fixed } = this.#campaign.fee_estimate ?? {};
      const all = (amount + minor(fixed)) * 10_000, share = 10_000 - basis_points, rest = all % share;
      return (all - rest) / share + (rest ? 1 : 0);
    }

    #bounds() {
      const { minimum, maximum } = this.#campaign;
      return { minimum: this.#words.money(minor(minimum)), maximum: this.#words.money(minor(maximum)) };
    }

    async #give(amount, choices, again = true) {
      const words = this.#words;
      const body = {
        donation: {
          amount: { currency_code: words.currency, amount_minor: String(amount) },
          locale: words.lang,
          return_url: this.#returnURL,
        },
        ...choices,
      };
      const request = JSON.stringify([this.#name, body]);
      if (!this.#requests.has(request)) this.#requests.set(request, uuid());
      this.#say("");
      this.#setBusy(true);
      try {
        const donation = await call(`${this.#name}/donations`, { ...body, request_id: this.#requests.get(request) });
        if (!donation.checkout_url && again) {
          // That donation is over, paid or expired: this is a new donation.
          this.#requests.delete(request);
          await this.#give(amount, choices, false);
          return;
        }
        const url = new URL(donation.checkout_url);
        const loopback = url.protocol === "http:" && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
        if (url.protocol !== "https:" && !loopback) throw new Failure("OTHER");
        location.assign(url);
      } catch (error) {
        this.#setBusy(false);
        this.#say(words.say(ERRORS[error.reason] ?? "errorOther", { ...this.#bounds(), wait: words.wait(error.retrySeconds ?? 60) }));
        if (/^(CAMPAIGN_NOT_OPEN|STRIPE_ACCOUNT)/.test(error.reason)) this.#schedule(0);
      }
    }

    /** The button stays focusable while it is busy, so that the keyboard does not lose its place. */
    #setBusy(busy) {
      this.#busy = busy;
      const button = this.#root.querySelector("button");
      if (!button) return;
      button.setAttribute("aria-disabled", busy);
      if (busy) {
        button.dataset.label = button.textContent;
        button.textContent = this.#words.say("busy");
      } else if (button.dataset.label) {
        button.textContent = button.dataset.label;
      }
    }

    #say(text, invalid = false) {
      this.#root.querySelector("#error")?.replaceChildren(text);
      this.#root.querySelector("#amount")?.setAttribute("aria-invalid", invalid);
    }
  }

  customElements.define("cagnotte-widget", CagnotteWidget);
})();
