// Files to and from the server: what it has prepared is fetched, what a person chooses is sent as a stream.
(function () {
  "use strict";
  const clientside = window.dash_clientside = window.dash_clientside || {};

  clientside.files = {
    // The answer is an attachment: the page stays.
    fetch(address) {
      if (typeof address === "string" && address.startsWith("/downloads/")) window.location.assign(address);
      return clientside.no_update;
    },
  };

  // <div data-upload="/attachments?…"> holds a field for files, a status line and a hidden button that says it is done.
  async function send(box) {
    const field = box.querySelector("input[type=file]");
    const status = box.querySelector("[role=status]");
    const author = document.querySelector("[data-author] input")?.value || "";
    const problems = [];
    let done = 0;
    for (const file of field.files) {
      status.textContent = `Sending ${file.name} …`;
      const query = new URLSearchParams({ sample: box.dataset.sample, name: file.name, author });
      try {
        const answer = await fetch(`${box.dataset.upload}?${query}`, { method: "POST", body: file });
        if (answer.ok) done += 1;
        else problems.push(await answer.text());
      } catch (error) {
        problems.push(`${file.name}: the connection broke (${error.message})`);
      }
    }
    field.value = "";
    status.textContent = problems.join(" · ") || `${done} file${done === 1 ? "" : "s"} attached`;
    status.classList.toggle("tone-bad", problems.length > 0);
    if (done) box.querySelector("button").click();
  }

  document.addEventListener("change", (change) => {
    const box = change.target.closest("[data-upload]");
    if (box && change.target.type === "file" && change.target.files.length) send(box);
  });
})();
