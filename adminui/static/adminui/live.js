// The card of the job, kept true: asked for each second while it runs, seldom while nobody looks, never when nothing runs.
(() => {
  "use strict";

  const SECOND = 1000;
  const EVERY = { visible: SECOND, hidden: 5 * SECOND, failing: 2 * SECOND };

  let timer = null;
  let lastAnswer = null;
  let isFailing = false;
  let isAsking = false;
  let announced = "";
  let title = "";
  let heldFocus = null;

  const card = () => document.getElementById("bf-now");
  const isActive = () => card().dataset.active === "yes";
  const utc = (moment) => moment.toISOString().slice(11, 19);
  const others = "BroadcastChannel" in window ? new BroadcastChannel("backfill") : null;

  const tell = () => {
    const clock = document.getElementById("bf-clock");
    if (!clock || !lastAnswer) return;
    const words = clock.dataset;
    if (isFailing) clock.textContent = `${words.failing} ${utc(lastAnswer)}, ${words.again}`;
    else if (isActive()) clock.textContent = `${words.running} · ${utc(lastAnswer)}`;
    else clock.textContent = `${words.idle} ${utc(lastAnswer)}`;
    clock.classList.toggle("bf-failing", isFailing);
  };

  const announce = () => {
    const line = card().querySelector("#bf-why");
    const kind = line ? line.dataset.kind : card().dataset.status;
    if (announced && kind !== announced) {
      document.getElementById("bf-announced").textContent = line ? line.textContent.replace(/\s+/g, " ").trim() : "";
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
    if (isAsking) return;
    isAsking = true;
    clearTimeout(timer);
    const { poll, etag, districts } = card().dataset;
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
      schedule();
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
    if (heldFocus && !heldFocus.isConnected) document.getElementById("bf-now-title").focus();
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
    lastAnswer = new Date();
    announced = card().querySelector("#bf-why")?.dataset.kind || card().dataset.status;
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
    document.body.addEventListener("bf-done", () => {
      others?.postMessage("done");
      ask();
    });

    document.body.addEventListener("click", (event) => {
      const chip = event.target.closest(".bf-districts [data-districts]");
      if (!chip) return;
      card().dataset.districts = chip.dataset.districts;
      card().dataset.etag = "";
      ask();
    });
  });
})();
