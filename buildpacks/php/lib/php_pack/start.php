<?php
// start.php DOCUMENT_ROOT: Apache directives for the .user.ini files below it, which mod_php itself does not read.
// The last line of the output is `# memory_limit BYTES`, 0 for no limit.

$root = rtrim($argv[1], '/');
$limit = ini_get('memory_limit');
$directories = new RecursiveIteratorIterator(
    new RecursiveCallbackFilterIterator(
        new RecursiveDirectoryIterator($root, FilesystemIterator::SKIP_DOTS),
        fn ($file) => $file->isDir()
            ? !$file->isLink() && !in_array($file->getFilename(), ['.heroku', 'vendor', 'node_modules'])
            : $file->getFilename() === '.user.ini'
    )
);
foreach ($directories as $file) {
    $settings = @parse_ini_file($file->getPathname(), false, INI_SCANNER_RAW);
    if ($settings === false) {
        fwrite(STDERR, "{$file->getPathname()} is not valid and is passed over\n");
        continue;
    }
    echo "<Directory \"{$file->getPath()}\">\n";
    foreach ($settings as $name => $value) {
        if (preg_match('/^[\w.-]+$/', $name) && is_string($value) && $value !== '') {
            echo "    php_value $name \"", addcslashes(str_replace(["\r", "\n"], ' ', $value), '"\\'), "\"\n";
        }
    }
    echo "</Directory>\n";
    if ($file->getPath() === $root) {
        $limit = $settings['memory_limit'] ?? $limit;
    }
}
echo '# memory_limit ', max(0, ini_parse_quantity($limit)), "\n";
