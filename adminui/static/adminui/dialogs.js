// The dialog of the page, alerts, and the toast after an action.
(() => {
  "use strict";

  let openedFrom = null;

  const dialog = () => document.getElementById("bf-dialog");

  const open = () => {
    const box = dialog();
    if (box.open || !box.firstElementChild) return;
    openedFrom = document.activeElement;
    box.showModal();
    const first = box.querySelector("[autofocus]") || box.querySelector("h2");
    if (first) first.focus();
  };

  const close = () => {
    const box = dialog();
    if (box.open) box.close();
  };

  const reading = () => document.getElementById("bf-calendar-reading");

  const showToast = (message) => {
    const line = document.getElementById("bf-toast");
    line.textContent = message;
    clearTimeout(showToast.timer);
    showToast.timer = setTimeout(() => { line.textContent = ""; }, 8000);
  };

  // Where an alert about a request of this element is shown. In an open dialog, so that its values are kept.
  const alertPlace = (source) => {
    const box = dialog();
    if (!box.open || !box.contains(source)) return document.getElementById("bf-alerts");
    let place = box.querySelector(".bf-dialog-alert");
    if (!place) {
      place = document.createElement("div");
      place.className = "bf-dialog-alert";
      place.setAttribute("role", "alert");
      box.querySelector(".bf-dialog-body h2").after(place);
    }
    return place;
  };

  const showAlert = (id, source) => {
    const place = alertPlace(source);
    place.replaceChildren(document.getElementById(id).content.cloneNode(true));
    if (!dialog().contains(place)) close();
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
      if (reading()) {
        window.htmx.trigger(reading(), "htmx:abort");  // the server stops when the connection is closed
        document.body.dispatchEvent(new CustomEvent("bf-calendar"));
      }
      box.replaceChildren();
      if (openedFrom) {
        openedFrom.focus();
        if (document.activeElement !== openedFrom) focusOn("bf-job-status-title");  // the element was removed or hidden
      }
      openedFrom = null;
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
        const invalidField = box.querySelector("[aria-invalid=true]");
        if (invalidField) invalidField.focus();
        else if (!box.contains(document.activeElement)) box.querySelector("[autofocus], h2").focus();
      }
      if (event.detail.target.id === "bf-alerts") {
        close();
        document.getElementById("bf-alerts").scrollIntoView({ block: "nearest" });
      }
      if (event.detail.target.id === "bf-start-form") {
        close();
        const invalidField = document.querySelector("#bf-start-form [aria-invalid=true]");
        if (invalidField) invalidField.focus();
      }
      if (event.detail.target.id === "keep") {  // the form of the coverage target, with errors or another rule
        openedFrom = null;
        close();
        const first = document.querySelector("#keep [aria-invalid=true], #keep [autofocus], #keep [role=alert]");
        (first || document.getElementById("bf-add-rule") || document.getElementById("bf-keep-title")).focus();
      }
    });

    // The request that reads the calendar is repeated until it is done or the dialog is closed.
    document.body.addEventListener("htmx:afterSettle", (event) => {
      if (event.detail.target.id === "bf-dialog" && box.open && reading()) {
        setTimeout(() => { if (reading()) window.htmx.trigger(reading(), "bf-continue"); }, 100);
      }
    });

    // A page instead of a fragment: the login page, a rejected CSRF token, or an error of a proxy.
    document.body.addEventListener("htmx:beforeSwap", (event) => {
      if (event.detail.target.id === "bf-alerts") event.detail.target = alertPlace(event.detail.requestConfig.elt);
      if (!/^\s*<(!doctype|html)/i.test(event.detail.serverResponse)) return;
      event.detail.shouldSwap = false;
      showAlert(event.detail.xhr.status < 500 ? "bf-signed-out" : "bf-server-unreachable", event.detail.requestConfig.elt);
    });
    document.body.addEventListener("htmx:sendError", (event) => showAlert("bf-server-unreachable", event.detail.elt));

    document.body.addEventListener("htmx:beforeRequest", (event) => {
      if (event.detail.requestConfig.verb === "post") alertPlace(event.detail.elt).replaceChildren();
    });

    document.body.addEventListener("bf-action-done", (event) => {
      const { message, focusStatus, focus } = event.detail;
      const target = focusStatus ? "bf-job-status-title" : focus;
      if (target) openedFrom = null;
      close();
      showToast(message);
      if (target) focusOn(target);
    });

    // The space bar activates a link with the role of a button.
    document.body.addEventListener("keydown", (event) => {
      if (event.key === " " && event.target.matches("a[role=button]")) {
        event.preventDefault();
        event.target.click();
      }
    });
  });
})();
