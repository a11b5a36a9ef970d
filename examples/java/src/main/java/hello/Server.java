package hello;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Executors;

public final class Server {
    private Server() {}

    public static void main(String[] args) throws IOException {
        int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "8080"));
        HttpServer server = HttpServer.create(new InetSocketAddress(port), 0);
        server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
        server.createContext("/", Server::home);
        server.createContext("/healthz", exchange -> answer(exchange, 200, "ok"));
        server.createContext("/slow", Server::slow);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            System.out.println("stopping: requests that have begun are finished");
            server.stop(25);
        }));
        server.start();
        System.out.printf("listening on %d, Java %s%n", port, Runtime.version().feature());
    }

    private static void home(HttpExchange exchange) throws IOException {
        boolean here = exchange.getRequestURI().getPath().equals("/");
        answer(exchange, here ? 200 : 404, here ? new Greeting(System.getenv("DYNO")).text() : "no such page");
    }

    private static void slow(HttpExchange exchange) throws IOException {
        try {
            Thread.sleep(2000);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
        answer(exchange, 200, "slow but complete");
    }

    private static void answer(HttpExchange exchange, int status, String text) throws IOException {
        byte[] body = (text + "\n").getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", "text/plain; charset=utf-8");
        exchange.sendResponseHeaders(status, body.length);
        try (var out = exchange.getResponseBody()) {
            out.write(body);
        }
    }
}
