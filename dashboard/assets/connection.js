// Says when the dashboard does not answer: what stands on the page is old then, and tables would show empty rows.
(function () {
  "use strict";
  const EVERY = 2000; // ms between questions whether it is back
  const ask = window.fetch.bind(window);
  let said = null;
  let leaving = false;

  function say(words, ...more) {
    if (!said) {
      said = Object.assign(document.createElement("div"), { className: "messages" });
      said.setAttribute("role", "alert");
      document.body.append(said);
    }
    const problem = Object.assign(document.createElement("div"), { className: "problem" });
    problem.append(words, ...more);
    said.replaceChildren(problem);
  }

  function reload() {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "button", textContent: "Reload" });
    button.addEventListener("click", () => location.reload());
    return button;
  }

  async function wait() {
    say("The dashboard does not answer; what is shown may be old, and nothing can be stored.");
    for (;;) {
      await new Promise((done) => setTimeout(done, EVERY));
      if (await ask("/assets/icon.svg", { cache: "no-store" }).then(() => true, () => false)) break;
    }
    say("The dashboard answers again; what is shown is from before.", reload());
    waiting = null;
  }

  let waiting = null;

  window.addEventListener("pagehide", () => { leaving = true; });
  window.addEventListener("pageshow", () => { leaving = false; });
  window.fetch = (...asked) => ask(...asked).catch((error) => {
    if (error.name === "TypeError" && !leaving) waiting ||= wait(); // whoever breaks a request off is told by AbortError
    throw error;
  });
})();
