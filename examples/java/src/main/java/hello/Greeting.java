package hello;

record Greeting(String dyno) {
    String text() {
        long heap = Runtime.getRuntime().maxMemory() >> 20;
        return "Hello from %s, Java %s, heap of %d MB".formatted(dyno, Runtime.version().feature(), heap);
    }
}
