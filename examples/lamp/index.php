<!doctype html>
<html lang="en">
<meta charset="utf-8">
<link rel="stylesheet" href="/site.css">
<title>Books</title>
<h1>Books</h1>
<form action="/search.php"><input name="query" aria-label="Search"> <button>Search</button></form>
<p>PHP <?= PHP_VERSION ?> in <?= htmlspecialchars(getenv('DYNO') ?: 'no dyno') ?>.
You are <?= htmlspecialchars($_SERVER['REMOTE_ADDR']) ?>.</p>
