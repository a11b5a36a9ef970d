let odd = "gone"
try { require("is-odd"); odd = "there" } catch (error) { odd = "gone" }
const text = `${require("ms")("1m")} ${require("fs").readFileSync("built.txt")} ${odd} ${process.env.npm_config_user_agent}\n`
require("http").createServer((_, answer) => answer.end(text)).listen(process.env.PORT)
