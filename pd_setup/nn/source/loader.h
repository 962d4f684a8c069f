// One thread for the whole process that does what takes long and can wait: loading models and warming them up.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace nn {

class Loader {
public:
    static Loader& instance();
    void add(std::function<void()> job);  // jobs are done one after the other and must not throw
    void finish();  // no more jobs: waits for the one at hand, but not for ever
    ~Loader();

private:
    Loader() = default;
    void run();
    std::mutex mutex_;
    std::condition_variable changed_, ended_;
    std::deque<std::function<void()>> jobs_;
    bool stop_ = false, done_ = false;
    std::thread thread_;  // started with the first job
};

}  // namespace nn
