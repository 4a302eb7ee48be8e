// Questions to the server of `latentviz explore`; the token is in the page's address.

/** Returns a function that asks the server, `ask(name, question)`; an error has a line to show, and `refused` if the server lives. */
export function makeAsk() {
  const token = new URLSearchParams(location.search).get("token") ?? "";
  return async (name, question) => {
    let answer;
    try {
      answer = await fetch(`/ask/${name}`, { method: "POST", headers: { "x-latentviz-token": token, "content-type": "application/json" }, body: JSON.stringify(question) });
    } catch {
      throw new Error("The server has ended; run latentviz explore again.");
    }
    if (answer.ok) return answer.json();
    const text = await answer.text();
    throw Object.assign(new Error(answer.status === 422 ? JSON.parse(text).error : text), { refused: true });
  };
}

/** Returns the bytes of a file in base64. */
export function base64Of(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).replace(/^[^,]*,/, ""));
    reader.onerror = () => reject(new Error("This file cannot be read."));
    reader.readAsDataURL(file);
  });
}
