require("fs").writeFileSync("built.txt", "is-odd " + require("is-odd")(3) + " " + process.version)
