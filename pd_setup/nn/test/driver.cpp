// Drives the engine harder than Pd would: an audio thread and a message thread run at the same time. Built with the
// stub model, plain and under AddressSanitizer and ThreadSanitizer; the plain build counts allocations, locks and
// threads of the audio callback, which must be none.
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <dlfcn.h>
#include <pthread.h>

#include "engine.h"

namespace {

thread_local bool in_callback = false;
std::atomic<long> allocations{0}, locks{0}, threads{0};
int failures = 0;

void check(bool good, const char* what) {
    if (good) return;
    std::printf("FAILED: %s\n", what);
    ++failures;
}

}  // namespace

// Pd quits without deleting its objects. Not static: the compiler could remove it, and the object would count as leaked.
nn::Engine* never_deleted = nullptr;

// --- counters of what the callback must not do -------------------------------------------------------------------

void* operator new(std::size_t size) {
    if (in_callback) ++allocations;
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
    if (in_callback) ++allocations;
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }

#ifndef NN_SANITIZED  // sanitizers wrap these functions themselves
extern "C" int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
    static auto real = reinterpret_cast<int (*)(pthread_mutex_t*)>(dlsym(RTLD_NEXT, "pthread_mutex_lock"));
    if (in_callback) ++locks;
    return real(mutex);
}
extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* how, void* (*work)(void*), void* with) noexcept {
    using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
    static auto real = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
    if (in_callback) ++threads;
    return real(thread, how, work, with);
}
#endif

namespace {

std::string folder;

std::string model(const std::string& name, const std::string& text) {
    const std::string path = folder + "/" + name;
    std::ofstream(path) << "nn-stub\nrate 48000\n" << text;
    return path;
}

struct Player {  // the audio side: plays blocks of noise and keeps the output
    Player(nn::Engine& engine_, int ins, int outs, int block_) : engine(engine_), block(block_), in(ins), out(outs) {
        for (auto& channel : in) channel.resize(block);
        for (auto& channel : out) channel.resize(block);
        engine.restart(block, 48000);
    }
    void call() {
        std::vector<const float*> from;
        std::vector<float*> to;
        for (auto& channel : in) {
            for (auto& x : channel) x = std::uniform_real_distribution<float>(-1, 1)(random);
            from.push_back(channel.data());
        }
        for (auto& channel : out) to.push_back(channel.data());
        in_callback = true;
        engine.process(from.data(), static_cast<int>(from.size()), to.data(), static_cast<int>(to.size()), block);
        in_callback = false;
        played.insert(played.end(), in[0].begin(), in[0].end());
        heard.insert(heard.end(), out[0].begin(), out[0].end());
    }
    nn::Engine& engine;
    int block;
    std::vector<std::vector<float>> in, out;
    std::vector<float> played, heard;
    std::mt19937 random{1};
};

// In batch mode every sample comes out, delayed by exactly the latency that the engine reports.
void exact() {
    const auto path = model("exact", "method forward 1 1 1 1\nmethod half 1 2 1 2\nattribute gain\n");
    for (int buffer : {0, 64, 256, 4096})
        for (int block : {1, 16, 64, 100, 128, 1024, 4096}) {
            nn::Engine engine(true);
            std::pair<int, int> channels;
            std::string error;
            check(engine.open(path, "forward", buffer, channels, error), "a model is opened");
            Player player(engine, 1, 1, block);
            engine.info();
            nn::Event event;
            int late = -1;
            while (engine.poll(event))
                if (event.text == "latency") late = static_cast<int>(std::get<double>(event.values[0]));
            for (int i = 0; i < 20000 / block + 8; ++i) player.call();
            bool same = late >= 0;
            for (std::size_t i = 0; i < player.heard.size(); ++i) {
                const float wanted = i < std::size_t(late) ? 0 : player.played[i - late];
                same = same && player.heard[i] == wanted;
            }
            if (!same) std::printf("buffer %d, block %d, late %d\n", buffer, block, late);
            check(same, "every sample comes out at the reported latency");
            check(engine.meters().late == 0, "nothing is late in batch mode");
        }
}

// In batch mode a message takes effect in the block in which it arrives, however slow the model is.
void in_order() {
    const auto path = model("order", "method forward 1 1 1 1\nattribute gain\ndoes slow\n");
    nn::Engine engine(true);
    std::pair<int, int> channels;
    std::string error;
    check(engine.open(path, "forward", 64, channels, error), "a model is opened");
    Player player(engine, 1, 1, 1024);  // each call submits 16 blocks, and the next message waits for all
    for (int i = 0; i < 20; ++i) {
        engine.set("gain", {double(i)});
        player.call();
    }
    bool same = true;
    for (std::size_t i = 1024; i < player.heard.size(); ++i)
        same = same && player.heard[i] == static_cast<float>((i - 1024) / 1024) * player.played[i - 1024];
    check(same, "messages and blocks are processed in order");
}

// In real time the callback must neither allocate nor lock, whatever the other threads do.
void two_threads(const char* does, int buffer, int milliseconds) {
    const auto one = model(std::string("one-") + does,
                           std::string("method forward 1 1 1 1\nmethod wide 2 64 3 256\nattribute gain\ndoes ") + does + "\n");
    const auto two =
        model(std::string("two-") + does, std::string("method forward 2 1 2 1\nattribute gain\ndoes ") + does + "\n");
    nn::Engine engine(false);
    std::pair<int, int> channels;
    std::string error;
    check(engine.open(one, "forward", buffer, channels, error), "a model is opened");
    std::atomic<bool> stop{false};
    std::thread audio([&] {
        Player player(engine, 1, 1, 64);
        int calls = 0;
        while (!stop) {
            player.call();
            if (++calls % 50 == 0) engine.restart(player.block, 48000);
            std::this_thread::sleep_for(std::chrono::microseconds(300));
        }
        for (const float x : player.heard)
            if (!std::isfinite(x)) return check(false, "the output is finite");
    });
    std::mt19937 random(2);
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
    while (std::chrono::steady_clock::now() < end) {
        switch (random() % 14) {
            case 0: engine.load(random() % 2 ? one : two); break;
            case 1: engine.load(folder + "/missing"); break;
            case 2: engine.reload(); break;
            case 3: engine.choose_method(random() % 2 ? "wide" : "forward"); break;
            case 4: engine.choose_method("nonsense"); break;
            case 5: engine.resize(buffer == 0 ? 0 : 64 << random() % 8); break;
            case 6: engine.use_gpu(random() % 2); break;
            case 7: engine.set("gain", {0.5}); break;
            case 8: engine.set("gain", {std::string("loud"), 3.0}); break;
            case 9: engine.get("gain"); break;
            case 10: engine.dump(); break;
            case 11: engine.enable(random() % 4); break;
            case 12: engine.print(); break;
            default: engine.info();
        }
        nn::Event event;
        for (int i = 0; i < 50 && engine.poll(event); ++i) {}
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 2000));
    }
    stop = true;
    audio.join();
}

void many() {  // 32 objects, created and deleted while others play
    const auto path = model("many", "method forward 1 1 1 1\n");
    std::vector<std::unique_ptr<nn::Engine>> engines;
    std::string error;
    std::pair<int, int> channels;
    for (int i = 0; i < 32; ++i) {
        engines.push_back(std::make_unique<nn::Engine>(false));
        check(engines.back()->open(path, "forward", 64, channels, error), "each of many models is opened");
    }
    for (int round = 0; round < 20; ++round)
        for (std::size_t i = 0; i < engines.size(); ++i) {
            Player player(*engines[i], 1, 1, 64);
            player.call();
            if (round == 10 && i % 3 == 0) {
                engines[i] = std::make_unique<nn::Engine>(false);
                engines[i]->load(path);
            }
        }
}

void late_blocks() {  // a model that is too slow: late blocks are silent and counted, and a fast model recovers
    const auto slow = model("slow", "method forward 1 1 1 1\ndoes slow\n");
    const auto fast = model("fast", "method forward 1 1 1 1\n");
    nn::Engine engine(false);
    std::pair<int, int> channels;
    std::string error;
    engine.open(slow, "forward", 64, channels, error);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    Player player(engine, 1, 1, 64);
    for (int i = 0; i < 200; ++i) {
        player.call();
        std::this_thread::sleep_for(std::chrono::microseconds(500));
    }
    const auto late = engine.meters().late.load();
    check(late > 50, "late blocks are counted");
    engine.load(fast);
    bool recovered = false;
    for (int i = 0; i < 2000 && !recovered; ++i) {
        player.call();
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        recovered = player.heard.back() != 0 && player.heard.back() == player.played[player.played.size() - 65];
    }
    check(recovered, "on time again, at the same delay");
}

// One thread ends the process while another still creates and deletes objects, and some are never deleted. The loader
// accepts nothing after this, so it comes last.
void finish_while_objects_come_and_go() {
    const auto path = model("finish", "method forward 1 1 1 1\ndoes slow\n");
    std::vector<std::unique_ptr<nn::Engine>> kept;
    std::string error;
    std::pair<int, int> channels;
    for (int i = 0; i < 8; ++i) {
        kept.push_back(std::make_unique<nn::Engine>(false));
        check(kept.back()->open(path, "forward", 64, channels, error), "the models of the kept objects are opened");
    }
    std::atomic<bool> stop{false};
    std::atomic<int> made{0};
    std::thread objects([&] {
        std::mt19937 random(3);
        std::vector<std::unique_ptr<nn::Engine>> some(16);
        std::string refused;
        std::pair<int, int> width;
        while (!stop) {
            auto& one = some[random() % some.size()];
            one = std::make_unique<nn::Engine>(false);
            if (random() % 2) one->open(path, "forward", 64, width, refused);
            ++made;
        }
    });
    while (made < 20) std::this_thread::yield();
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 20; ++i) nn::Engine::finish_all();  // gives up after 5 s, so a worker that never stops costs 100 s
    check(std::chrono::steady_clock::now() - begin < std::chrono::seconds(20), "workers stop when the process ends");
    stop = true;
    objects.join();
    nn::Engine::finish_all();
    nn::Engine batch(true);
    batch.load(path);  // batch mode waits for the loader, but not once it has ended
    never_deleted = kept[0].release();
    check(never_deleted, "one object still exists when the process ends");
}

}  // namespace

int main() {
    char made[] = "/tmp/nn-driver-XXXXXX";
    folder = mkdtemp(made);
    exact();
    in_order();
    for (const char* does : {"gain", "nan", "throw", "slow"}) two_threads(does, 256, 700);
    const long threaded = allocations;
    check(threaded == 0, "the callback allocates or frees nothing");
    check(locks == 0, "the callback locks nothing");
    check(threads == 0, "the callback starts no thread");
    two_threads("gain", 0, 500);
    many();
    late_blocks();
    finish_while_objects_come_and_go();
    std::printf(failures ? "%d failed\n" : "all good\n", failures);
    return std::system(("rm -rf '" + folder + "'").c_str()) != 0 || failures;
}
