// Trades the token, typed or behind the "#" of the address, for a cookie no script can read.
import { applyTheme } from "./theme.js";

const form = document.getElementById("login");
const field = document.getElementById("token");
const wrong = document.getElementById("wrong");

async function logIn(token) {
  wrong.textContent = "";
  try {
    const answer = await fetch("/session", { method: "POST", body: token });
    if (answer.ok) {
      location.replace(location.pathname + location.search);
      return;
    }
    wrong.textContent = "That is not the token.";
  } catch {
    wrong.textContent = "The server does not answer. Is it running?";
  }
  field.select();
}

function takeFromAddress() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  history.replaceState(null, "", location.pathname + location.search); // out of sight, and out of the history
  logIn(token);
}

applyTheme();
form.addEventListener("submit", (event) => {
  event.preventDefault();
  logIn(field.value.trim());
});
addEventListener("hashchange", takeFromAddress);
takeFromAddress();
