<?php
require __DIR__ . '/inc/database.inc';

$query = trim((string) ($_GET['query'] ?? ''));
$find = database()->prepare("SELECT title, author FROM book WHERE title LIKE ? ESCAPE '!' ORDER BY title");
$find->execute(['%' . preg_replace('/[!%_]/', '!$0', $query) . '%']);
$books = $find->fetchAll(PDO::FETCH_ASSOC);
?>
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<link rel="stylesheet" href="/site.css">
<title>Search</title>
<h1><?= count($books) ?> found for “<?= htmlspecialchars($query) ?>”</h1>
<ul>
<?php foreach ($books as $book): ?>
<li><?= htmlspecialchars("{$book['title']}, by {$book['author']}") ?></li>
<?php endforeach ?>
</ul>
