// Requests to the console. An answer that is an error becomes an ApiError with its status and what came with it.

export class ApiError extends Error {
  constructor(status, body) {
    super(body.error ?? `the console answered ${status}`);
    this.status = status;
    this.body = body;
  }
}

let csrf = null;
let navigation = new AbortController();

// Ends what is asked for a view that is left; it gets an AbortError.
export function abortGets() {
  navigation.abort();
  navigation = new AbortController();
}

async function request(method, path, options = {}) {
  let response;
  try {
    response = await fetch(`/api/${path}`, { method, ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, { error: "the console does not answer; is `elevator console` still running?" });
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new ApiError(response.status, body);
  return body;
}

export function get(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined);
  const query = new URLSearchParams(given);
  return request("GET", `${path}${query.size ? `?${query}` : ""}`, { signal: navigation.signal });
}

export function send(method, path, body = {}) {
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": csrf };
  return request(method, path, { headers, body: JSON.stringify(body) });
}

export async function openSession() {
  const session = await get("session");
  csrf = session.csrf;
  return session;
}
