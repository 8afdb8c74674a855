// <cagnotte-widget campaign="collectives/…/campaigns/…" lang="fr|en|oc|br|es|de" return-url="…">
//
// Shows a campaign's progress and starts a donation, on any page of an origin that the campaign
// allows. It loads nothing but the campaign and the sentences of one language, from the server that it came from, keeps no
// cookie and stores nothing. What stands inside the element is shown until the campaign is there, and
// when it cannot be: put a link to the campaign's page there.
//
// The server puts the style sheet, the languages and words.js in place of the strings in braces, and leaves out comments that
// have a line of their own.
(() => {
  "use strict";

  const CSS = "{{css}}";
  /** The languages, each with what is said while nothing else of it could be read. */
  const AWAY = "{{away}}";
  /** The time between two looks at the progress, and the longest, when nothing moves. */
  const POLL_MS = 30_000;
  const POLL_MAX_MS = 300_000;
  const TIMEOUT_MS = 20_000;
  /**
   * The height that is reserved where the page reserves none, in em, and the part of any reserve that is kept when less is
   * needed. What stands below an element of height h that grows or shrinks by d moves by d: on a screen of height v that is a
   * layout shift of (v - h)·d / v² at most, with h the lesser height. Over all screens the greatest is d / 4h. So it stays below
   * 0.1 from 0.72 to 1.4 times the reserve.
   */
  const RESERVE_EM = 46;
  const KEPT = 0.72;

  if (customElements.get("cagnotte-widget")) return;

  // Classic scripts know themselves while they run, deferred and async ones too; a module does not.
  const script = document.currentScript ?? [...document.scripts].findLast((s) => /\/widget(\/[\w-]+)?\.js([?#]|$)/.test(s.src));
  // The address with a version is one level below the stable one.
  const base = script.src.replace(/widget(\/[\w-]+)?\.js.*/, "");

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

  /** A title as French sets it, with its narrow spaces; the pages do more, for whole stories. */
  const typeset = (lang, text) =>
    lang === "fr" ? text.replace(/ (?=[;:!?»])/g, "\u202f").replace(/« /g, "«\u202f").replace(/'/g, "’") : text;

  "{{words.js}}";

  /** An error of the API, by its reason; NETWORK when there was no answer. */
  class Failure extends Error {
    constructor(reason, retrySeconds = 0, asked) {
      super(reason);
      this.reason = reason;
      this.retrySeconds = retrySeconds;
      this.asked = asked;
    }
  }

  async function call(path, body, cache = "no-cache") {
    let response, answer;
    try {
      response = await fetch(base + path, {
        method: body ? "POST" : "GET",
        headers: body ? { "Content-Type": "application/json" } : {},
        body: body && JSON.stringify(body),
        credentials: "omit",
        // What is asked for again is asked for by its ETag, and comes only when it is another.
        cache: body ? "no-store" : cache,
        referrerPolicy: "no-referrer",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      answer = await response.json();
    } catch {
      throw new Failure("NETWORK");
    }
    if (response.ok) return answer;
    const { reason = "OTHER", metadata } = answer.details?.find((detail) => detail.reason) ?? {};
    const delay = answer.details?.find((detail) => detail.retry_delay)?.retry_delay;
    throw new Failure(reason, Math.max(1, Math.ceil(parseFloat(delay) || 60)), metadata);
  }

  /**
   * The solution of a challenge: a number whose hash with it begins with enough zero bits, which takes a second or so. Plain
   * http cannot hash: there a challenge is its own solution when it is old enough.
   */
  async function solve({ challenge, difficulty, ticket_wait_seconds }) {
    if (!crypto.subtle) {
      await new Promise((resolve) => setTimeout(resolve, ticket_wait_seconds * 1000 + 1000));
      return challenge;
    }
    for (let number = 0; ; number++) {
      const answer = `${challenge}.${number}`;
      const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(answer));
      if (Math.clz32(new DataView(hash).getUint32()) >= difficulty) return answer;
    }
  }

  /** Starts a donation. While more are started than usual, the service asks for a challenge first. */
  async function start(path, body, tries = 3) {
    try {
      return await call(path, body);
    } catch (error) {
      if (error.reason !== "CHALLENGE_REQUIRED" || !tries) throw error;
      return start(path, { ...body, challenge_solution: await solve(error.asked) }, tries - 1);
    }
  }

  const catalogues = {};

  /** The sentences of a language, once for all widgets of a page. */
  function sentences(lang) {
    return (catalogues[lang] ??= call(`widget/${lang}.json`, undefined, "default").catch(() => {
      delete catalogues[lang];
    }));
  }

  /**
   * The campaign, for the first time. A browser tells a script the same of a server that is away and of an origin that is not
   * allowed. Answers that are errors can be read from any page, as our script can: so where the script is there and the
   * campaign cannot be read, twice, it is the origin.
   */
  async function first(name) {
    try {
      return await call(`v1/${name}`);
    } catch (error) {
      if (error.reason !== "NETWORK") throw error;
      const there = await fetch(script.src, { method: "HEAD", cache: "no-store" })
        .then((response) => response.ok, () => false);
      if (!there) throw error;
      return call(`v1/${name}`).catch((again) => {
        throw again.reason === "NETWORK" ? new Failure("ORIGIN") : again;
      });
    }
  }

  /** The fields at fault, by the error; all others are no fault of what was filled in. */
  const FIELDS = { errorAmount: "amount", errorTooSmall: "amount", errorTooLarge: "amount", errorChoose: "presets" };

  const ERRORS = {
    AMOUNT_TOO_SMALL: "errorTooSmall",
    AMOUNT_TOO_LARGE: "errorTooLarge",
    CAMPAIGN_NOT_OPEN: "errorNotOpen",
    STRIPE_ACCOUNT_DISCONNECTED: "errorNoCards",
    STRIPE_ACCOUNT_NOT_READY: "errorNoCards",
    CARDS_PAUSED: "errorNoCards",
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
    /** The height that is kept. */
    #room = new CSSStyleSheet();
    #reserved;
    #campaign;
    /** How the campaign can be given to without a card. */
    #ways = [];
    #words;
    /** Request ids by donation, in memory only: the same donation sent again is not a second one. */
    #requests = new Map();
    #busy = false;
    #shown = "";
    #told = "";
    #timer;
    #delay = POLL_MS;
    #listeners;

    constructor() {
      super();
      this.#root.adoptedStyleSheets = [sheet, this.#room];
      this.#root.append(h("div", { class: "room" }, h("slot")));
    }

    connectedCallback() {
      this.#listeners = new AbortController();
      const { signal } = this.#listeners;
      this.#reserve();
      document.addEventListener("visibilitychange", () => this.#schedule(0), { signal });
      addEventListener("pageshow", (event) => event.persisted && this.#restored(), { signal });
      this.#schedule(0);
    }

    disconnectedCallback() {
      this.#listeners.abort();
      clearTimeout(this.#timer);
    }

    /** Keeps the height that the page gave the element before this script ran; a line of text is none. */
    #reserve() {
      if (this.#reserved) return;
      const em = parseFloat(getComputedStyle(this).fontSize);
      this.#reserved = this.offsetHeight > 9 * em ? this.offsetHeight : RESERVE_EM * em;
      this.#room.replaceSync(`.room{min-block-size:${this.#reserved}px}`);
    }

    attributeChangedCallback(name, before, after) {
      if (before === after || !this.isConnected) return;
      if (name === "campaign") this.#campaign = undefined;
      this.#told = "";
      this.#shown = "";
      this.#schedule(0);
    }

    get #name() {
      return this.getAttribute("campaign") ?? "";
    }

    get #lang() {
      const lang = (this.closest("[lang]")?.lang ?? "").slice(0, 2).toLowerCase();
      return lang in AWAY ? lang : "fr";
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
      const name = this.#name, lang = this.#lang;
      // They come beside the campaign.
      const asked = sentences(lang);
      let moved = false;
      try {
        if (!/^collectives\/[a-z0-9-]+\/campaigns\/[a-z0-9-]+$/.test(name)) throw new Failure("ATTRIBUTE");
        const [campaign, said] = await Promise.all([this.#read(name), asked]);
        if (name !== this.#name || !this.isConnected) return;
        if (!said) throw new Failure("NETWORK");
        moved = JSON.stringify(campaign) !== JSON.stringify(this.#campaign);
        this.#campaign = campaign;
        this.#words = new Words(said, campaign.goal.currency_code);
        this.#render();
      } catch (error) {
        // What is already shown stays: a poll that fails is no news to anybody.
        const said = await asked;
        if (!this.#campaign && name === this.#name) this.#renderFailure(error, lang, said);
        if (!(error instanceof Failure)) throw error;
      } finally {
        if (this.isConnected) this.#later(moved);
      }
    }

    /** The campaign as it is now: the sums alone, unless anything else changed. */
    async #read(name) {
      const known = this.#campaign;
      if (known) {
        const { settled, pending, revision } = await call(`v1/${name}/progress`);
        if (revision === known.revision) return { ...known, progress: { settled, pending } };
      }
      const campaign = await (known ? call(`v1/${name}`) : first(name));
      // Without the other ways the card is still right.
      this.#ways = campaign.accepting_donations ? ((await call(`v1/${name}/pledgeMethods`).catch(() => ({}))).methods ?? []) : [];
      return campaign;
    }

    /** The browser brought the page back as it was left, on its way to the payment page. */
    #restored() {
      this.#setBusy(false);
      this.#schedule(0);
    }

    #replace(card) {
      this.#room.replaceSync(`:host{min-block-size:0!important}.card{min-block-size:${this.#reserved * KEPT}px}`);
      this.#root.replaceChildren(card);
    }

    get #path() {
      return this.#name.replace("collectives/", "").replace("campaigns/", "");
    }

    /**
     * Donors get a kind sentence and a way that works; who owns the page is told what to mend, in the browser's console too.
     *
     * A draft and a name that does not exist are one cause here, because the API answers the same for both to who has no key:
     * a stranger who guesses names must not learn what a collective prepares. Its members read in the console which it is.
     */
    #renderFailure({ reason }, lang, said) {
      const words = said && new Words(said, "EUR");
      const owner = words && { ATTRIBUTE: "ownerAttribute", ORIGIN: "ownerOrigin", NOT_FOUND: "ownerUnknown", INVALID_ARGUMENT: "ownerUnknown" }[reason];
      const page = reason === "ORIGIN" && `${base}c/${this.#path}?lang=${lang}`;
      let advice = null;
      if (owner) {
        const [collective, campaign] = this.#path.split("/");
        const check = `${base}console${campaign && reason !== "ATTRIBUTE" ? `/c/${collective}/spread/${campaign}` : ""}`;
        const why = words.say(owner, { origin: location.origin, name: this.#name });
        if (this.#told !== why) console.error(`<cagnotte-widget> ${why} ${check}`);
        this.#told = why;
        advice = h("p", { class: "note owner", part: "note" }, `${words.say("owner")} ${why} `,
          h("a", { href: check, part: "link" }, words.say("ownerCheck")));
      }
      this.#shown = "";
      this.#replace(h("section", { class: "card away", part: "card", lang, dir: said?.direction },
        h("div", {}, h("p", { part: "error" }, owner ? words.say("errorHere") : AWAY[lang]),
          page && owner ? h("p", {}, h("a", { class: "button", href: page, part: "link" }, words.say("elsewhere"))) : h("slot"), advice)));
    }

    /** Builds everything once, and again only when more than the progress changed, so that nobody
     *  loses the amount that they are typing. */
    #render() {
      const { progress, etag, update_time, revision, ...rest } = this.#campaign;
      const shape = this.#words.lang + JSON.stringify([rest, this.#ways]);
      if (shape !== this.#shown) {
        this.#shown = shape;
        this.#replace(this.#card());
      }
      this.#renderProgress();
    }

    #card() {
      const campaign = this.#campaign;
      const words = this.#words;
      const textLang = campaign.texts[words.lang] ? words.lang : "fr";
      const stages = campaign.stages ?? [];
      const closed = campaign.collective_suspended ? "suspended" : campaign.state === "CAMPAIGN_STATE_PAUSED" ? "paused" : "ended";
      const path = `${base}c/${this.#path}`;
      const page = `${path}?lang=${words.lang}`;
      return h("section", { class: "card", part: "card", lang: words.lang, dir: words.say("direction"), "aria-labelledby": "title" },
        h("div", { class: "head" },
          h("p", { class: "collective", part: "collective", dir: "auto" }, campaign.collective_display_name),
          h("h2", { id: "title", part: "title", lang: textLang, dir: "auto" }, typeset(textLang, campaign.texts[textLang].title)),
          h("div", { class: "figures" },
            h("span", { class: "raised", part: "raised" }),
            h("span", { class: "goal", part: "goal" }, words.say("goal", { goal: words.money(minor(campaign.goal)) })),
            h("span", { class: "percent", part: "percent" })),
          h("div", { class: "bar", part: "bar", role: "progressbar", "aria-labelledby": "title", "aria-valuemin": 0, "aria-valuemax": 100 },
            h("div", { class: "fill settled", part: "settled" }), h("div", { class: "fill waiting", part: "waiting" })),
          h("p", { class: "pending", part: "pending" }),
          campaign.deadline_date && campaign.accepting_donations
            ? h("p", { class: "pending", part: "deadline" }, words.say("deadline", { date: words.date(campaign.deadline_date) })) : null),
        campaign.accepting_cards ? this.#form(path, page) : h("div", { class: "give" },
          h("p", { class: "closed", part: "closed" }, words.say(campaign.accepting_donations ? "noCards" : closed)),
          this.#otherWays(path, "button"),
          this.#more(page)),
        stages.length ? h("div", { class: "steps", part: "stages" }, h("h3", {}, words.say("stages")), h("ol", {})) : null);
    }

    /** A link that says of which campaign it is, where several stand on a page. */
    #link(id, text, href, name) {
      return h("p", { class: "note" }, h("a", { id, href, class: name, part: "link", "aria-labelledby": `${id} title` }, text));
    }

    #more(page) {
      return this.#link("more", this.#words.say("more"), page);
    }

    /** The way to the slip: transfer, cheque, cash, as far as the campaign takes them. */
    #otherWays(path, name) {
      const words = this.#words;
      // A way of a later server than this script is not named.
      const ways = this.#ways.filter((way) => way in words.said);
      return ways.length
        ? this.#link("ways", words.say("pledge", { ways: words.list(ways.map((way) => words.say(way))) }), `${path}/pledge?lang=${words.lang}`, name) : null;
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
        h("span", { lang, dir: "auto" }, typeset(lang, stage.titles[lang])),
        h("span", { class: "cost" }, words.money(minor(stage.amount))),
        h("span", { class: "state" }, state === "current"
          ? words.say("missing", { amount: words.money(ends[i] - settled) }) : words.say(state)));
    }

    #form(path, page) {
      const { presets = [], minimum, maximum } = this.#campaign;
      const words = this.#words;
      const input = h("input", {
        id: "amount", part: "amount", type: "text", inputmode: "decimal", autocomplete: "off",
        maxlength: 24, "aria-describedby": "amount-error bounds",
      });
      const radios = presets.map((preset) => h("input", { type: "radio", name: "preset", value: minor(preset) }));
      const button = h("button", { id: "button", part: "button", "aria-describedby": "title note" }, words.say("give"));
      const monthly = h("input", { type: "radio", name: "often", value: "monthly" });
      const often = [h("input", { type: "radio", name: "often", value: "once", checked: true }), monthly];
      const cover = h("input", { type: "checkbox", id: "cover" });
      const whole = h("span", { class: "whole" });
      const note = h("p", { class: "note", id: "note", part: "note" }, words.say("note"));
      const chosen = () => radios.find((radio) => radio.checked);
      const update = () => {
        const amount = input.value.trim() ? words.parse(input.value) : chosen() && Number(chosen().value);
        const all = amount && this.#whole(amount);
        whole.textContent = all ? words.say("whole", { amount: words.money(all) }) : "";
        if (!this.#busy) {
          const sum = amount && { amount: words.money(cover.checked ? all : amount) };
          button.textContent = words.say(sum ? (monthly.checked ? "giveMonthly" : "giveAmount") : "give", sum);
        }
        note.textContent = (monthly.checked ? `${words.say("noteMonthly")} ` : "") + words.say("note");
        return amount;
      };
      input.addEventListener("input", () => {
        for (const radio of radios) radio.checked = false;
        update();
      });
      for (const radio of radios) {
        radio.addEventListener("change", () => {
          input.value = "";
          update();
        });
      }
      for (const control of [...often, cover]) control.addEventListener("change", update);
      const to = h("a", { href: "#amount" });
      to.addEventListener("click", (event) => {
        event.preventDefault();
        (this.#root.querySelector("#presets[aria-invalid]") ? chosen() ?? radios[0] : input).focus();
      });
      const rows = h("div", { class: "presets", id: "presets", part: "presets", role: "radiogroup", "aria-label": words.say("howMuch"), "aria-describedby": "presets-error" },
        ...radios.map((radio) => h("label", { class: "preset" }, radio, h("span", { part: "preset" }, words.money(Number(radio.value))))));
      // Rows of one length, as far as there are: six stand in rows of three, never five and one.
      for (const most of [3, 4, 8]) rows.style.setProperty(`--in-${most}`, Math.ceil(radios.length / Math.ceil(radios.length / most)));
      const form = h("form", { class: "give", novalidate: true, "aria-labelledby": "title" },
        h("div", { class: "summary", id: "summary", part: "error", role: "alert", tabindex: -1, hidden: true }, h("p", {}, words.say("problem")), to),
        h("fieldset", { class: "often", part: "often" },
          h("legend", {}, words.say("choose")),
          ...often.map((radio) => h("label", { class: "preset" }, radio, h("span", {}, words.say(radio.value))))),
        h("p", { class: "error", id: "presets-error" }),
        radios.length ? rows : null,
        h("label", { class: "free", for: "amount" }, words.say("other")),
        h("p", { class: "error", id: "amount-error" }),
        h("div", { class: "field" }, input, h("span", { "aria-hidden": "true" }, words.symbol)),
        h("p", { class: "hint", id: "bounds" }, words.say("bounds", this.#bounds())),
        this.#campaign.fee_estimate
          ? h("label", { class: "cover", part: "cover" }, cover, h("span", {}, words.say("cover"), " ", whole)) : null,
        h("p", { class: "error", id: "error", part: "error", role: "alert" }),
        button,
        note,
        this.#otherWays(path),
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
        if (wrong) this.#say(wrong);
        else this.#give(amount, { recurrence: monthly.checked ? "RECURRENCE_MONTHLY" : undefined, cover_fee: cover.checked || undefined });
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
      this.#say();
      this.#setBusy(true);
      try {
        const donation = await start(`v1/${this.#name}/donations`, { ...body, request_id: this.#requests.get(request) });
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
        this.#say(ERRORS[error.reason] ?? "errorOther", error.retrySeconds);
        if (/^(CAMPAIGN_NOT_OPEN|CARDS|STRIPE_ACCOUNT)/.test(error.reason)) this.#schedule(0);
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

    /**
     * Says what is wrong; nothing without a key. Where a field is at fault the message stands at it, and a summary above the
     * form gets the focus and leads there. Else it stands at the button, and the focus stays where it is.
     */
    #say(key, seconds = 60) {
      const find = (id) => this.#root.querySelector(`#${id}`);
      const summary = find("summary");
      if (!summary) return;
      const text = key ? this.#words.say(key, { ...this.#bounds(), wait: this.#words.wait(seconds) }) : "";
      const fault = find(FIELDS[key]) ? FIELDS[key] : FIELDS[key] && "amount";
      for (const id of ["presets", "amount"]) {
        find(`${id}-error`).textContent = id === fault ? text : "";
        if (id === fault) find(id).setAttribute("aria-invalid", true);
        else find(id)?.removeAttribute("aria-invalid");
      }
      find("error").textContent = fault ? "" : text;
      summary.hidden = !fault;
      summary.lastChild.textContent = fault ? text : "";
      if (fault) summary.focus();
    }
  }

  customElements.define("cagnotte-widget", CagnotteWidget);
})();
