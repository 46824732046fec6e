"use strict";

// The API is that of the node the page comes from.
async function show() {
  const { jobs } = await (await fetch("/status")).json();
  const rows = jobs.map((job) => {
    const row = document.createElement("tr");
    for (const text of [job.name, job.state, `${job.running} of ${job.numprocesses}`]) {
      row.insertCell().textContent = text;
    }
    return row;
  });
  document.getElementById("jobs").replaceChildren(...rows);
}

const feed = new EventSource("/watch?feed=eventsource");
for (const name of ["create", "delete", "start", "stop", "spawn", "exit", "update"]) {
  feed.addEventListener(name, (message) => {
    const event = JSON.parse(message.data);
    document.getElementById("events").textContent = `${event.name}: ${event.event}`;
    show();
  });
}
show();
