// Polls the job card: every second while a job is active, every 5 seconds in a hidden tab, not at all without a job.
(() => {
  "use strict";

  const SECOND = 1000;
  const INTERVALS = { visible: SECOND, hidden: 5 * SECOND, failing: 2 * SECOND };

  let timer = null;
  let lastResponse = null;
  let isFailing = false;
  let isPolling = false;
  let pollAgain = false;
  let announcedKind = "";
  let title = "";
  let heldFocus = null;
  let districts = "";  // "all", or empty for the notable ones

  const card = () => document.getElementById("bf-job-status");
  const isActive = () => card().dataset.active === "yes";
  const clockTime = (moment) => window.bfTimes.clock(moment);
  const otherTabs = "BroadcastChannel" in window ? new BroadcastChannel("backfill") : null;

  const showPollStatus = () => {
    const clock = document.getElementById("bf-poll-status");
    if (!clock || !lastResponse) return;
    const texts = clock.dataset;
    if (isFailing) clock.textContent = `${texts.errorText} ${clockTime(lastResponse)}, ${texts.retryText}`;
    else if (isActive()) clock.textContent = `${texts.activeText} · ${clockTime(lastResponse)}`;
    else clock.textContent = `${texts.idleText} ${clockTime(lastResponse)}`;
    clock.classList.toggle("bf-poll-failed", isFailing);
  };

  const statusLine = () => card().querySelector("#bf-status-message") || card().querySelector(".bf-badge-line");
  const kindOf = (line) => line.dataset.kind || `${card().dataset.status} ${card().dataset.job}`;

  const announce = () => {
    const line = statusLine();
    const kind = kindOf(line);
    if (kind !== announcedKind) {
      document.getElementById("bf-live-region").textContent = line.textContent.replace(/\s+/g, " ").trim();
    }
    announcedKind = kind;
  };

  const updateTitle = () => {
    const { percent } = card().dataset;
    document.title = percent ? `${percent} · ${title}` : title;
  };

  const updateCountdowns = () => {
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
    const wait = isFailing ? INTERVALS.failing : document.hidden ? INTERVALS.hidden : INTERVALS.visible;
    timer = setTimeout(poll, wait);
  };

  const poll = async () => {
    pollAgain = isPolling;  // the current response may be older than the last action
    if (isPolling) return;
    isPolling = true;
    clearTimeout(timer);
    const { poll: url, etag } = card().dataset;
    const address = districts ? `${url}?districts=${districts}` : url;
    try {
      const response = await fetch(address, {
        headers: { "HX-Request": "true", "If-None-Match": etag },
        cache: "no-store",
        signal: AbortSignal.timeout(10 * SECOND),
      });
      if (response.redirected || response.status === 403) {
        location.reload();  // logged out or permission revoked: the page shows the reason
        return;
      }
      if (response.status !== 304 && !response.ok) throw new Error(response.status);
      isFailing = false;
      lastResponse = new Date();
      if (response.status === 200) update(await response.text());
    } catch {
      isFailing = true;
    } finally {
      isPolling = false;
      showPollStatus();
      if (pollAgain) poll();
      else schedule();
    }
  };

  // The page of a job: parameters, items and audit log, when the job has ended or an operator has changed it.
  const refreshLists = async () => {
    const lists = ["bf-parameters", "items", "audit-log"].map((id) => document.getElementById(id)).filter(Boolean);
    if (!lists.length) return;
    const response = await fetch(location.href, { cache: "no-store" });
    if (!response.ok || response.redirected) return;  // the next poll reports it
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    window.bfTimes.localize(page);
    for (const list of lists) {
      const now = page.getElementById(list.id);
      if (now) Idiomorph.morph(list, now, { morphStyle: "outerHTML", ignoreActiveValue: true });
      htmx.process(document.getElementById(list.id));
    }
  };

  // Parts of the card keep the largest height that they had, so that what is below them does not move.
  const HEIGHTS = { "#bf-status-message": "--bf-message-height", ".bf-district-list": "--bf-districts-height" };
  let heightsOf = "";

  const keepHeights = () => {
    const place = card().parentElement;
    const key = `${card().dataset.job} ${isActive()} ${districts} ${place.clientWidth}`;
    for (const [selector, name] of Object.entries(HEIGHTS)) {
      if (key !== heightsOf || !isActive()) place.style.removeProperty(name);
      const height = isActive() ? Math.ceil(card().querySelector(selector)?.getBoundingClientRect().height || 0) : 0;
      if (height) place.style.setProperty(name, `${height}px`);
    }
    heightsOf = key;
  };

  const update = (html) => {
    const before = { active: isActive(), job: card().dataset.job };
    heldFocus = card().contains(document.activeElement) ? document.activeElement : null;
    const fragment = document.createElement("template");
    fragment.innerHTML = html;
    window.bfTimes.localize(fragment.content);
    const row = fragment.content.querySelector("template")?.content.firstElementChild;
    for (const part of [...fragment.content.children, row]) {
      const shown = part && part.id && document.getElementById(part.id);
      if (shown) Idiomorph.morph(shown, part, { morphStyle: "outerHTML" });
    }
    htmx.process(card());
    afterUpdate(before);
  };

  // The plan in an open dialog can be started while no job is active.
  const updateDialog = () => {
    const confirm = document.getElementById("bf-confirm");
    const start = document.getElementById("bf-start-button");
    if (!confirm || !start) return;
    const isBlocked = start.getAttribute("aria-disabled") === "true";
    confirm.disabled = isBlocked || confirm.dataset.empty === "yes";
    document.getElementById("bf-confirm-blocked").textContent = isBlocked ? document.getElementById("bf-start-help").textContent.trim() : "";
  };

  const afterUpdate = (before) => {
    announce();
    updateDialog();
    document.body.dispatchEvent(new CustomEvent("bf-status-updated"));
    updateTitle();
    updateCountdowns();
    keepHeights();
    if (heldFocus && !heldFocus.isConnected) document.getElementById("bf-job-status-title").focus();
    heldFocus = null;
    const isOtherJob = before.job !== card().dataset.job;
    if (before.active !== isActive()) refreshLists();
    if (before.active !== isActive() || isOtherJob) {
      document.body.dispatchEvent(new CustomEvent("bf-history"));
      const start = document.getElementById("bf-start");
      if (start && !start.contains(document.activeElement)) start.open = !isActive();
    }
  };

  document.addEventListener("DOMContentLoaded", () => {
    if (!card()) return;
    title = document.title;
    districts = card().dataset.districts;
    lastResponse = new Date();
    announcedKind = kindOf(statusLine());
    // Updates keep details elements as the user left them.
    Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) => !(name === "open" && node.tagName === "DETAILS");
    showPollStatus();
    updateTitle();
    updateCountdowns();
    keepHeights();
    setInterval(updateCountdowns, SECOND);
    schedule();

    document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });
    window.addEventListener("focus", () => poll());
    otherTabs?.addEventListener("message", () => poll());
    document.body.addEventListener("bf-action-done", () => {
      otherTabs?.postMessage("done");
      poll();
      refreshLists();
    });

    document.body.addEventListener("htmx:afterRequest", (event) => {
      if (event.detail.xhr.status === 409) poll();  // a conflict: the page is out of date
    });

    document.body.addEventListener("click", (event) => {
      const chip = event.target.closest(".bf-districts [data-districts]");
      if (!chip) return;
      districts = chip.dataset.districts;
      poll();
    });
  });
})();
