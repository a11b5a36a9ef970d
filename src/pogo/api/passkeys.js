"use strict"
{
  const button = document.getElementById("use-passkey")
  const form = document.querySelector("form")
  const bytes = text => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), c => c.charCodeAt(0))
  const text = buffer => buffer && btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "")

  const tell = message => {
    let line = document.querySelector(".wrong")
    if (!line) {
      line = document.createElement("p")
      line.className = "wrong"
      line.setAttribute("role", "alert")
      form.before(line)
    }
    line.textContent = message
  }

  const options = async () => {
    const answer = await fetch("/auth/passkey-options", {
      method: "POST", body: JSON.stringify({page: button.dataset.page || null}),
    })
    const found = await answer.json()
    if (!answer.ok) throw new Error(found.message)
    found.challenge = bytes(found.challenge)
    if (found.user) found.user.id = bytes(found.user.id)
    for (const known of [...(found.excludeCredentials || []), ...(found.allowCredentials || [])])
      known.id = bytes(known.id)
    return found
  }

  const press = async () => {
    const publicKey = await options()
    const made = button.dataset.page
      ? await navigator.credentials.create({publicKey})
      : await navigator.credentials.get({publicKey})
    const said = made.response
    const response = {clientDataJSON: text(said.clientDataJSON)}
    if (button.dataset.page) {
      response.attestationObject = text(said.attestationObject)
      response.transports = said.getTransports ? said.getTransports() : []
    } else {
      response.authenticatorData = text(said.authenticatorData)
      response.signature = text(said.signature)
      response.userHandle = text(said.userHandle)
    }
    form.elements.passkey.value = JSON.stringify({
      id: made.id, rawId: text(made.rawId), type: made.type, response,
      authenticatorAttachment: made.authenticatorAttachment || null,
      clientExtensionResults: made.getClientExtensionResults(),
    })
    form.submit()
  }

  if (!window.PublicKeyCredential) {
    if (button.dataset.page) tell("This browser does not know passkeys. Open this page in another one.")
  } else {
    button.hidden = false
    if (button.dataset.page) form.addEventListener("submit", event => {
      event.preventDefault() // Enter in the field
      button.click()
    })
    button.addEventListener("click", async () => {
      button.disabled = true
      try {
        await press()
      } catch (failure) {
        const known = {
          NotAllowedError: "It was cancelled, took too long, or there is no passkey for this place.",
          InvalidStateError: "This device has a passkey for your account already.",
        }
        tell(known[failure.name] || failure.message)
        button.disabled = false
      }
    })
  }
}
