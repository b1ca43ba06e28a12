// Files that a person chooses are sent to the server as streams.
(function () {
  "use strict";
  const clientside = window.dash_clientside = window.dash_clientside || {};

  // A box with data-upload="/attachments", data-kind (sample or test) and data-key takes files by its button or dropped on it; its status says
  // how far they are, and the store that data-done names is told when something has arrived.
  async function send(box, files) {
    const status = box.querySelector("[role=status]");
    const author = document.querySelector("[data-author] input")?.value || "";
    const problems = [];
    let done = 0;
    for (const file of files) {
      status.textContent = `Sending ${file.name} …`;
      const query = new URLSearchParams({ [box.dataset.kind]: box.dataset.key, name: file.name, author });
      try {
        const answer = await fetch(`${box.dataset.upload}?${query}`, { method: "POST", body: file });
        if (answer.ok) done += 1;
        else problems.push(await answer.text());
      } catch (error) {
        problems.push(`${file.name}: the connection broke (${error.message})`);
      }
    }
    status.textContent = problems.join(" · ") || `${done} file${done === 1 ? "" : "s"} attached`;
    if (done) clientside.set_props(box.dataset.done, { data: Date.now() });
  }

  document.addEventListener("click", (click) => {
    const box = click.target.closest("[data-action=choose-files]")?.closest("[data-upload]");
    if (!box) return;
    const field = Object.assign(document.createElement("input"), { type: "file", multiple: true });
    field.addEventListener("change", () => send(box, field.files));
    field.click();
  });

  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (drag) => {
      const box = drag.target.closest?.("[data-upload]");
      if (!box) return;
      drag.preventDefault();
      box.classList.toggle("over", kind === "dragover");
      if (kind === "drop") send(box, drag.dataTransfer.files);
    });
  }
})();
