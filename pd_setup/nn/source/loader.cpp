#include "loader.h"

#include <chrono>

#include "model.h"
#include "priority.h"

namespace nn {

Loader& Loader::instance() {
    static Loader loader;
    return loader;
}

void Loader::add(std::function<void()> job) {
    std::lock_guard lock(mutex_);
    if (stop_) return;  // the process is ending: dropping the job releases whoever waits for it
    jobs_.push_back(std::move(job));
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
    changed_.notify_one();
}

void Loader::finish() {
    std::unique_lock lock(mutex_);
    stop_ = true;
    jobs_.clear();
    changed_.notify_one();
    if (thread_.joinable()) ended_.wait_for(lock, std::chrono::seconds(5), [this] { return done_; });
}

Loader::~Loader() {
    std::thread thread;  // taken under the lock, like every use of thread_, and joined without it
    {
        std::lock_guard lock(mutex_);
        stop_ = true;
        jobs_.clear();
        changed_.notify_one();
        thread = std::move(thread_);
    }
    if (thread.joinable()) thread.join();
}

void Loader::run() {
    use_normal_priority();
    configure_thread(true);
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
        if (stop_) {
            done_ = true;
            ended_.notify_all();
            return;
        }
        auto job = std::move(jobs_.front());
        jobs_.pop_front();
        lock.unlock();
        job();
        job = nullptr;  // frees what it holds without holding the lock
        lock.lock();
    }
}

}  // namespace nn
