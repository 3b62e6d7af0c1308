// The page's one dialog, and what is said when an action is done.
(() => {
  "use strict";

  let cameFrom = null;

  const dialog = () => document.getElementById("bf-dialog");

  const open = () => {
    const box = dialog();
    if (box.open || !box.firstElementChild) return;
    cameFrom = document.activeElement;
    box.showModal();
    const first = box.querySelector("[autofocus]") || box.querySelector("h2");
    if (first) first.focus();
  };

  const close = () => {
    const box = dialog();
    if (box.open) box.close();
  };

  const say = (sentence) => {
    const line = document.getElementById("bf-toast");
    line.textContent = sentence;
    clearTimeout(say.timer);
    say.timer = setTimeout(() => { line.textContent = ""; }, 8000);
  };

  const notice = (id) => {
    close();
    const place = document.getElementById("bf-alerts");
    place.replaceChildren(document.getElementById(id).content.cloneNode(true));
    place.scrollIntoView({ block: "nearest" });
  };

  const focusOn = (id) => {
    const target = document.getElementById(id);
    if (target) target.focus();
  };

  document.addEventListener("DOMContentLoaded", () => {
    const box = dialog();
    if (!box) return;
    box.addEventListener("close", () => {
      box.replaceChildren();
      if (cameFrom) {
        cameFrom.focus();
        if (document.activeElement !== cameFrom) focusOn("bf-job-status-title");  // it is no more, or out of sight by now
      }
      cameFrom = null;
    });
    box.addEventListener("click", (event) => {
      const link = event.target.closest("[data-close]");
      if (link) {
        event.preventDefault();
        close();
      }
    });

    document.body.addEventListener("htmx:afterSwap", (event) => {
      if (event.detail.target.id === "bf-dialog") {
        open();
        const wrong = box.querySelector("[aria-invalid=true]");
        if (wrong) wrong.focus();
        else if (!box.contains(document.activeElement)) box.querySelector("[autofocus], h2").focus();
      }
      if (event.detail.target.id === "bf-alerts") {
        close();
        document.getElementById("bf-alerts").scrollIntoView({ block: "nearest" });
      }
      if (event.detail.target.id === "bf-start-form") {
        close();
        const wrong = document.querySelector("#bf-start-form [aria-invalid=true]");
        if (wrong) wrong.focus();
      }
    });

    // Where a part was asked for and a whole page came: the sign-in, a refused token, or an error of a server before ours.
    document.body.addEventListener("htmx:beforeSwap", (event) => {
      if (!/^\s*<(!doctype|html)/i.test(event.detail.serverResponse)) return;
      event.detail.shouldSwap = false;
      notice(event.detail.xhr.status < 500 ? "bf-signed-out" : "bf-server-unreachable");
    });
    document.body.addEventListener("htmx:sendError", () => notice("bf-server-unreachable"));

    document.body.addEventListener("htmx:beforeRequest", (event) => {
      if (event.detail.requestConfig.verb === "post") document.getElementById("bf-alerts").replaceChildren();
    });

    document.body.addEventListener("bf-action-done", (event) => {
      const { sentence, focus } = event.detail;
      if (focus) cameFrom = null;
      close();
      say(sentence);
      if (focus) focusOn("bf-job-status-title");
    });

    // A link that acts as a button answers to the space bar as well.
    document.body.addEventListener("keydown", (event) => {
      if (event.key === " " && event.target.matches("a[role=button]")) {
        event.preventDefault();
        event.target.click();
      }
    });
  });
})();
