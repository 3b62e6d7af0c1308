// The card of the job, kept true: asked for each second while it runs, seldom while nobody looks, never when nothing runs.
(() => {
  "use strict";

  const SECOND = 1000;
  const EVERY = { visible: SECOND, hidden: 5 * SECOND, failing: 2 * SECOND };

  let timer = null;
  let lastAnswer = null;
  let isFailing = false;
  let isAsking = false;
  let asksAgain = false;
  let announced = "";
  let title = "";
  let heldFocus = null;
  let districts = "";  // which are listed: those of note, or all

  const card = () => document.getElementById("bf-job-status");
  const isActive = () => card().dataset.active === "yes";
  const utc = (moment) => moment.toISOString().slice(11, 19);
  const others = "BroadcastChannel" in window ? new BroadcastChannel("backfill") : null;

  const tell = () => {
    const clock = document.getElementById("bf-poll-status");
    if (!clock || !lastAnswer) return;
    const words = clock.dataset;
    if (isFailing) clock.textContent = `${words.failing} ${utc(lastAnswer)}, ${words.again}`;
    else if (isActive()) clock.textContent = `${words.running} · ${utc(lastAnswer)}`;
    else clock.textContent = `${words.idle} ${utc(lastAnswer)}`;
    clock.classList.toggle("bf-poll-failed", isFailing);
  };

  const happening = () => card().querySelector("#bf-status-message") || card().querySelector(".bf-badge-line");
  const kindOf = (line) => line.dataset.kind || `${card().dataset.status} ${card().dataset.job}`;

  const announce = () => {
    const line = happening();
    const kind = kindOf(line);
    if (kind !== announced) {
      document.getElementById("bf-live-region").textContent = line.textContent.replace(/\s+/g, " ").trim();
    }
    announced = kind;
  };

  const entitle = () => {
    const { percent } = card().dataset;
    document.title = percent ? `${percent} · ${title}` : title;
  };

  const countDown = () => {
    for (const place of document.querySelectorAll("[data-until]")) {
      const seconds = Math.round((new Date(place.dataset.until) - Date.now()) / SECOND);
      const text = seconds > 0 && seconds < 3600 ? `(${seconds} s)` : "";
      if (place.textContent !== text) place.textContent = text;
    }
  };

  const schedule = () => {
    clearTimeout(timer);
    timer = null;
    if (!isActive() && !isFailing) return;
    const wait = isFailing ? EVERY.failing : document.hidden ? EVERY.hidden : EVERY.visible;
    timer = setTimeout(ask, wait);
  };

  const ask = async () => {
    asksAgain = isAsking;  // what is on its way may know nothing of what was just done
    if (isAsking) return;
    isAsking = true;
    clearTimeout(timer);
    const { poll, etag } = card().dataset;
    const address = districts ? `${poll}?districts=${districts}` : poll;
    try {
      const response = await fetch(address, {
        headers: { "HX-Request": "true", "If-None-Match": etag },
        cache: "no-store",
        signal: AbortSignal.timeout(10 * SECOND),
      });
      if (response.redirected || response.status === 403) {
        location.reload();  // signed out, or no longer allowed to look: the page says which
        return;
      }
      if (response.status !== 304 && !response.ok) throw new Error(response.status);
      isFailing = false;
      lastAnswer = new Date();
      if (response.status === 200) take(await response.text());
    } catch {
      isFailing = true;
    } finally {
      isAsking = false;
      tell();
      if (asksAgain) ask();
      else schedule();
    }
  };

  const take = (html) => {
    const before = { active: isActive(), job: card().dataset.job };
    heldFocus = card().contains(document.activeElement) ? document.activeElement : null;
    const fresh = document.createElement("template");
    fresh.innerHTML = html;
    const row = fresh.content.querySelector("template")?.content.firstElementChild;
    for (const part of [...fresh.content.children, row]) {
      const shown = part && part.id && document.getElementById(part.id);
      if (shown) Idiomorph.morph(shown, part, { morphStyle: "outerHTML" });
    }
    htmx.process(card());
    settle(before);
  };

  const settle = (before) => {
    announce();
    entitle();
    countDown();
    if (heldFocus && !heldFocus.isConnected) document.getElementById("bf-job-status-title").focus();
    heldFocus = null;
    const isAnother = before.job !== card().dataset.job;
    if (before.active !== isActive() || isAnother) {
      document.body.dispatchEvent(new CustomEvent("bf-history"));
      const start = document.getElementById("bf-start");
      if (start && !start.contains(document.activeElement)) start.open = !isActive();
    }
  };

  document.addEventListener("DOMContentLoaded", () => {
    if (!card()) return;
    title = document.title;
    districts = card().dataset.districts;
    lastAnswer = new Date();
    announced = kindOf(happening());
    // What the reader has opened, or chosen, is the reader's.
    Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) => !(name === "open" && node.tagName === "DETAILS");
    tell();
    entitle();
    countDown();
    setInterval(countDown, SECOND);
    schedule();

    document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
    window.addEventListener("focus", () => ask());
    others?.addEventListener("message", () => ask());
    document.body.addEventListener("bf-action-done", () => {
      others?.postMessage("done");
      ask();
    });

    document.body.addEventListener("htmx:afterRequest", (event) => {
      if (event.detail.xhr.status === 409) ask();  // refused, since things are not as they are shown
    });

    document.body.addEventListener("click", (event) => {
      const chip = event.target.closest(".bf-districts [data-districts]");
      if (!chip) return;
      districts = chip.dataset.districts;
      ask();
    });
  });
})();
