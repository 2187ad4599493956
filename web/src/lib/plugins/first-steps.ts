/** What to put into the plugins folder to begin with. */
export const FIRST_TOML = `# chat.toml, in the folder given by --plugins
[plugin.chat]
file = "builtin:slack"
config.url = "https://hooks.slack.com/services/{secret:SLACK}"
secrets.SLACK = "env:SLACK_PATH"
grants.http = ["https://hooks.slack.com"]

[pipeline.alerts]
when = { type = "deploy_status", severity = "warning" }
sinks = ["chat"]
`;
