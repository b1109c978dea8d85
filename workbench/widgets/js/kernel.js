// Questions to the Python side of a widget: `ask` resolves with its answer, `listen` hears what it tells unasked. A
// kernel that was busy for long answers after all: the event "late" says that it can be asked again.
const WAIT_MS = 60_000;

function kernelOf(model) {
  const waiting = new Map();
  const listeners = new Map();
  const prefix = Math.random().toString(36).slice(2); // several tabs may show one widget, and all hear every reply
  let count = 0;

  const receive = (message, buffers) => {
    const hear = (event) => (listeners.get(event) ?? []).forEach((each) => each(message.content, buffers));
    if (message?.event) return hear(message.event);
    const promise = waiting.get(message?.reply);
    if (!promise) return String(message?.reply).startsWith(prefix) ? hear("late") : undefined;
    waiting.delete(message.reply);
    clearTimeout(promise.timer);
    if (message.problem) promise.reject(new Error(message.problem));
    else promise.resolve({ value: message.value, buffers: buffers ?? [] });
  };
  model.on("msg:custom", receive);

  return {
    ask(question, content = {}) {
      const id = `${prefix}-${(count += 1)}`;
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(id);
          reject(new Error("the kernel does not answer: is it busy, or gone?"));
        }, WAIT_MS);
        waiting.set(id, { resolve, reject, timer });
        try {
          model.send({ id, ask: question, content });
        } catch {
          reject(new Error("the kernel was restarted or is gone: run the notebook's cells again"));
        }
      });
    },
    listen(event, listener) {
      listeners.set(event, [...(listeners.get(event) ?? []), listener]);
    },
    close() {
      model.off("msg:custom", receive);
      waiting.forEach(({ timer }) => clearTimeout(timer));
    },
  };
}
