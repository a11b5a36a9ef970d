// Stands for a bundler: writes the page's script with the versions that the build saw.
const fs = require("node:fs");

fs.mkdirSync("public", { recursive: true });
const script = fs.readFileSync("client.js", "utf8");
fs.writeFileSync("public/client.js", `// built with Node.js ${process.version}\n${script}`);
console.log(`public/client.js: ${script.length} bytes`);
