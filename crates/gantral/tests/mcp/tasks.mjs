// A client of the Model Context Protocol that others wrote, of the revision 2025-11-25 with tasks: calls one tool as a task, if the server
// offers that, and prints what it sees as JSON, one line each.
//
// Usage: tasks.mjs '{"sdk": FOLDER, "command": [PROGRAM, ARGUMENT, …], "tool": TOOL, "arguments": {…}}'
const asked = JSON.parse(process.argv[2]);
const { Client } = await import(`${asked.sdk}/client/index.js`);
const { StdioClientTransport } = await import(`${asked.sdk}/client/stdio.js`);

const say = (what) => console.log(JSON.stringify(what));
const tasks = { list: {}, cancel: {}, requests: { elicitation: { create: {} } } };
const client = new Client({ name: 'tasks', version: '1' }, { capabilities: { elicitation: {}, tasks } });
const [command, ...args] = asked.command;
await client.connect(new StdioClientTransport({ command, args, env: { PATH: process.env.PATH }, stderr: 'inherit' }));
const { tools } = await client.listTools();
say({ tools: tools.map((tool) => [tool.name, tool.execution?.taskSupport]) });
for await (const message of client.experimental.tasks.callToolStream({ name: asked.tool, arguments: asked.arguments })) {
  say({ ...message, error: message.error?.message });
}
say({ listed: (await client.experimental.tasks.listTasks()).tasks.map((task) => [task.taskId, task.status]) });
await client.close();
