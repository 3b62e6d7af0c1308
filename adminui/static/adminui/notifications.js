// Optional notifications of the browser when a job ends or is held. The choice is kept in the browser.
(() => {
  "use strict";

  const KEY = "bf-notify";

  let before = null;

  const card = () => document.getElementById("bf-job-status");
  const button = () => document.getElementById("bf-notify");
  const isOn = () => localStorage.getItem(KEY) === "yes" && Notification.permission === "granted";
  const text = (element) => element?.textContent.replace(/\s+/g, " ").trim() || "";

  const look = () => {
    const { job, active, held } = card().dataset;
    return { job, isActive: active === "yes", isHeld: held === "yes" };
  };

  const notify = (title) => {
    if (!isOn()) return;
    const message = card().querySelector("#bf-status-message") || card();
    const shown = new Notification(title, { body: text(message).slice(0, 200), tag: `backfill-${card().dataset.job}` });
    shown.onclick = () => { window.focus(); };
  };

  const update = () => {
    const now = look();
    const { ended, held } = button().dataset;
    if (before.isActive && (!now.isActive || now.job !== before.job)) notify(ended);
    else if (now.isActive && now.isHeld && !(before.isHeld && before.job === now.job)) notify(held);
    before = now;
  };

  const show = () => {
    button().setAttribute("aria-pressed", isOn());
    const isDenied = Notification.permission === "denied";
    button().title = isDenied ? button().dataset.denied : "";
  };

  const toggle = async () => {
    const wanted = !isOn();
    if (wanted) await Notification.requestPermission();
    localStorage.setItem(KEY, wanted ? "yes" : "no");
    show();
  };

  document.addEventListener("DOMContentLoaded", () => {
    if (!card() || !button() || !("Notification" in window)) return;
    before = look();
    button().hidden = false;
    show();
    button().addEventListener("click", toggle);
    document.body.addEventListener("bf-status-updated", update);
  });
})();
